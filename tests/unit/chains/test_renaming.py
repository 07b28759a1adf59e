"""Another name for a chain: its versions and past runs go along, and so does what starts it by name."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from legion_core.engine.run_types import Renamed
from legion_core.engine.schedule_migrations import MIGRATIONS
from legion_core.kernel.errors import Conflict, InvalidInput, NotFound
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.storage.sqlite import Connection, execute, row, script
from legion_core.testing.tasks import UnderTest
from tests.support.aio import run
from tests.unit.chains.drive import WAIT_S, Steps, bench

TEXT = """# what it is for
name: old
nodes:
  a: {task: step.it.echo, args: {value: 1}}
"""


def test_versions_runs_and_the_text_with_its_comments_go_along(tmp_path: Path) -> None:
    async def work() -> tuple[Any, ...]:
        async with bench(tmp_path) as on:
            chains = on.chains
            await chains.apply(LOCAL_OWNER, TEXT)
            await chains.apply(LOCAL_OWNER, TEXT.replace("1}", "2}"))
            first = await chains.run(LOCAL_OWNER, "old", None)
            await chains.wait(first, WAIT_S)
            await chains.rename(LOCAL_OWNER, "old", "new")
            second = await chains.run(LOCAL_OWNER, "new", None)
            ended = await chains.wait(second, WAIT_S)
            with pytest.raises(NotFound):
                await chains.view("old")
            return (
                await chains.view("new"),
                len(await chains.versions("new")),
                await chains.run_row(first),
                ended,
            )

    view, versions, first, ended = run(work())
    assert view.text == TEXT.replace("name: old", "name: new").replace("1}", "2}")
    assert view.document["name"] == "new"
    assert versions == 2
    assert (first.chain, first.status) == ("new", "succeeded")
    assert ended.status == "succeeded"


def test_a_run_under_way_ends_under_the_old_name(tmp_path: Path) -> None:
    steps = Steps()

    async def work() -> tuple[str, str]:
        async with bench(tmp_path, steps=steps) as on:
            chains = on.chains
            await chains.apply(
                LOCAL_OWNER,
                "name: old\nnodes: {a: {task: step.it.hold}, b: {task: step.it.echo}}\nedges: [{from: a, to: b}]\n",
            )
            begun = await chains.run(LOCAL_OWNER, "old", None)
            await steps.entered.wait()
            await chains.rename(LOCAL_OWNER, "old", "new")
            steps.gate.set()
            ended = await chains.wait(begun, WAIT_S)
            return ended.chain, ended.status

    assert run(work()) == ("old", "succeeded")


def test_what_starts_it_by_name_starts_it_by_its_new_name(tmp_path: Path) -> None:
    async def work() -> tuple[Renamed, str, bytes]:
        async with bench(tmp_path) as on:
            chains = on.chains
            await chains.apply(LOCAL_OWNER, TEXT)
            await chains.apply(LOCAL_OWNER, "name: above\nnodes: {inner: {chain: old}}\n")

            def plant(connection: Connection) -> None:
                spec = msgspec.json.encode({"name": "morning", "target": "chain:old", "cron": "0 9 * * *"})
                execute(
                    connection,
                    "INSERT INTO schedules(id, name, spec, who, state, anchor, due, next, created, changed) "
                    "VALUES('s', 'morning', ?, 'owner', 'active', 0, 0, 0, 0, 0)",
                    [spec],
                )

            await prepare(on.here)
            await on.here.database.write(plant)
            renamed = await chains.rename(LOCAL_OWNER, "old", "new")
            above = await chains.view("above")
            spec = await on.here.database.read(lambda c: row(c, "SELECT spec, fencing FROM schedules"))
            assert spec is not None
            assert spec[1] == 1
            return renamed, above.document["nodes"]["inner"]["chain"], bytes(spec[0])

    renamed, called, spec = run(work())
    assert (renamed.schedules, renamed.chains, called) == (("morning",), ("above",), "new")
    assert msgspec.json.decode(spec)["target"] == "chain:new"


def test_a_name_that_is_taken_or_none_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    async def work() -> list[str]:
        async with bench(tmp_path) as on:
            chains = on.chains
            await chains.apply(LOCAL_OWNER, TEXT)
            await chains.apply(LOCAL_OWNER, TEXT.replace("old", "other"))
            for new, error in (
                ("other", Conflict),
                ("no blanks", InvalidInput),
                ("../x", InvalidInput),
                ("", InvalidInput),
            ):
                with pytest.raises(error):
                    await chains.rename(LOCAL_OWNER, "old", new)
            with pytest.raises(NotFound):
                await chains.rename(LOCAL_OWNER, "nobody", "new")
            return [each.name for each in await chains.rows()]

    assert run(work()) == ["old", "other"]


@pytest.mark.parametrize("new", ["true", "123", "1.5", "null", "a.b-c_D"])
def test_a_name_that_yaml_would_read_as_something_else_stays_a_name(tmp_path: Path, new: str) -> None:
    async def work() -> object:
        async with bench(tmp_path) as on:
            chains = on.chains
            await chains.apply(LOCAL_OWNER, TEXT)
            await chains.rename(LOCAL_OWNER, "old", new)
            return (await chains.read_text((await chains.view(new)).text))["name"]

    assert run(work()) == new


async def prepare(here: UnderTest) -> None:
    """The tables of schedules and webhooks, where the journal under test lacks them."""

    def work(connection: Connection) -> None:
        if row(connection, "SELECT 1 FROM sqlite_schema WHERE name = 'schedules'") is None:
            for each in MIGRATIONS:
                script(connection, each.sql)

    await here.database.write(work)
