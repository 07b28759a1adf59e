"""A run that is begun, and ended, inside somebody else's transaction: as schedules and webhooks do."""

from pathlib import Path

import pytest

from legion_core.engine.chain_targets import ChainTargets
from legion_core.engine.run_events import RunEnded, RunStarted
from legion_core.kernel.errors import NotFound
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.storage.sqlite import Connection, execute
from tests.support.aio import run
from tests.unit.chains.drive import WAIT_S, bench, node


def test_the_reason_for_a_run_and_the_run_are_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            await on.apply({"a": {"do": "echo", "args": {"value": "{{ input.word }}"}}})
            targets = ChainTargets(on.here.engine)
            begin = await targets.prepare(LOCAL_OWNER, "it", {"word": "hello"})

            def refused(connection: Connection) -> None:
                begin(connection)
                raise ValueError("not after all")

            with on.here.bus.subscribe(RunStarted) as events:
                with pytest.raises(ValueError, match="not after all"):
                    await on.here.database.write(refused)
                await on.run()  # whatever is told of the one before has been told by then
                assert len(await events.take()) == 1
            assert len(await on.chains.page()) == 1

            begin = await targets.prepare(LOCAL_OWNER, "it", {"word": "hello"})
            with on.here.bus.subscribe(RunStarted, RunEnded) as events:
                started = await on.here.database.write(begin)
                on.here.engine.written(started.tasks)
                view = await on.chains.wait(started.run, WAIT_S)
                seen = [type(each).__name__ for each in await events.take()]
            assert view.result == "hello"
            assert seen[0] == "RunStarted"
            assert await on.here.database.read(lambda c: targets.is_over(c, started.run))
            with pytest.raises(NotFound):
                await targets.prepare(LOCAL_OWNER, "nothing", {})
            with pytest.raises(NotFound):
                await targets.exists("nothing")

    run(scenario())


def test_a_run_is_ended_inside_a_transaction_of_another(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as on:
            await on.apply({"a": {"do": "hold"}, "b": {"do": "echo"}}, ["a b"])
            targets = ChainTargets(on.here.engine)
            run_id = await on.chains.run(LOCAL_OWNER, "it")
            await on.steps.entered.wait()
            assert not await on.here.database.read(lambda c: targets.is_over(c, run_id))

            def overlap(connection: Connection) -> None:
                targets.cancel_in(connection, run_id, "owner", 0)
                execute(connection, "CREATE TABLE ext_other(n INTEGER)")

            await on.here.database.write(overlap)
            on.here.engine.look()
            await targets.wait(run_id)
            view = await on.chains.run_view(run_id)
            assert view.status == "cancelled"
            assert node(view, "a").status == "cancelled"
            await on.here.database.write(lambda c: targets.cancel_in(c, run_id, "owner", 0))

    run(scenario())
