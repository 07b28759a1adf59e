"""The disk refuses, a process dies between two writes: what was promised is kept, what was not is told."""

import asyncio
from pathlib import Path

import pytest

from legion_core.engine import journal, lookup
from legion_core.engine.bell import Bell
from legion_core.engine.orders import Order
from legion_core.kernel import faults
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.storage.failures import DiskFull
from legion_core.storage.sqlite import Connection
from legion_core.testing.tasks import open_engine
from tests.support.aio import run
from tests.unit.engine_core.runners import Box


@pytest.mark.allow_log("cannot be written")
def test_while_the_disk_is_full_nothing_is_accepted_and_ends_are_kept_until_it_is_not(tmp_path: Path) -> None:
    is_full = False

    def strike(site: str) -> None:
        if is_full and site == "storage.commit":
            raise DiskFull("There is no space left.")

    async def work() -> None:
        nonlocal is_full
        box = Box()
        async with open_engine(tmp_path, {"box.it": box}) as here:
            held = await here.submit("box.it.hold")
            await box.entered.wait()
            faults.arm(strike)
            is_full = True
            box.gate.set()  # it ends now, and its end cannot be written
            with pytest.raises(DiskFull):
                await here.submit("box.it.echo")
            while here.engine.running:  # its end may come a turn of the loop after the refusal
                await asyncio.sleep(0.001)
            is_full = False
            assert (await here.engine.wait(held.id)).result == "held"
            assert (await here.run("box.it.echo", value=1)).result == 1
            assert box.calls[1:] == [1]

    try:
        run(work())
    finally:
        faults.arm(None)


@pytest.mark.parametrize("crash_after", ["nothing", "laid down", "prepared", "renamed", "done"])
def test_a_fenced_file_cut_off_anywhere_is_written_exactly_once(tmp_path: Path, crash_after: str) -> None:
    target, text = tmp_path / "out.txt", b"hello"

    async def work() -> None:
        box = Box()
        async with open_engine(tmp_path, {"box.it": box}, serve=False) as here:
            accepted = await here.engine.submit(
                LOCAL_OWNER,
                Order(
                    task="box.it.lay_down", args={"path": str(target), "text": text.decode()}, delay_s=3600
                ),
            )
            prepared = target.with_name(f".out.txt.{accepted.id}-0.part")

            def record(state: str, detail: str) -> None:
                here.database.write_nowait(
                    lambda connection: journal.set_effect(connection, accepted.id, 0, state, detail)
                )

            # As far as the first attempt got before its process died.
            if crash_after == "laid down":
                prepared.write_bytes(b"hel")
            elif crash_after == "prepared":
                prepared.write_bytes(text)
                record("prepared", str(prepared))
            elif crash_after == "renamed":
                record("prepared", str(prepared))
                target.write_bytes(b"changed by another since")
            elif crash_after == "done":
                record("done", str(target))
                target.write_bytes(b"changed by another since")

            def due(connection: Connection) -> None:
                journal.change(connection, accepted.id, lookup.state_of(connection, accepted.id), 0)
                connection.execute("UPDATE tasks SET due = 1 WHERE id = ?", [accepted.id])

            await here.database.write(due)
            here.engine._work.look()
            done = await here.engine.wait(accepted.id)
            has_happened = crash_after in ("renamed", "done")
            assert (done.status, done.result) == ("succeeded", not has_happened)
            assert target.read_bytes() == (b"changed by another since" if has_happened else text)
            assert not prepared.exists()

    run(work())


def test_a_bell_wakes_the_others_and_a_death_is_heard(tmp_path: Path) -> None:
    async def work() -> None:
        heard: list[str] = []
        news = asyncio.Event()

        def bell(name: str) -> Bell:
            def tell(what: str) -> None:
                heard.append(f"{name} {what}")
                news.set()

            return Bell(tmp_path / "engines", name, lambda: tell("rung"), lambda peer: tell(f"lost {peer}"))

        one, two = bell("one"), bell("two")
        one.open()
        two.open()  # its coming wakes the other
        await news.wait()
        news.clear()
        assert heard == ["one rung"]
        assert (one.peers, two.peers) == ({"two"}, {"one"})
        one.ring()
        one.ring()
        await news.wait()
        news.clear()
        assert heard == ["one rung", "two rung"]
        one.close()
        await news.wait()
        assert heard == ["one rung", "two rung", "two lost one"]
        assert two.peers == frozenset()
        one.ring()  # closed: harmless
        one.close()
        two.close()
        assert list((tmp_path / "engines").iterdir()) == []

    run(work())


def test_what_a_dead_process_left_in_the_folder_is_cleared_away(tmp_path: Path) -> None:
    async def work() -> None:
        import os

        folder = tmp_path / "engines"
        folder.mkdir()
        os.mkfifo(folder / "gone.life")
        os.mkfifo(folder / "gone.bell")
        lost: list[str] = []
        bell = Bell(folder, "mine", lambda: None, lost.append)
        bell.open()
        assert lost == ["gone"]
        assert sorted(path.name for path in folder.iterdir()) == ["mine.bell", "mine.life"]
        bell.close()

    run(work())


def test_many_rings_are_one_and_never_block(tmp_path: Path) -> None:
    async def work() -> None:
        rung = 0

        def count() -> None:
            nonlocal rung
            rung += 1

        one = Bell(tmp_path / "engines", "one", lambda: None, lambda peer: None)
        two = Bell(tmp_path / "engines", "two", count, lambda peer: None)
        one.open()
        two.open()
        one.look_around()
        for _ in range(20_000):
            one.ring()
            if one._loop is None:
                break
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert 1 <= rung <= 3
        one.close()
        two.close()

    run(work())


@pytest.mark.allow_log("could not be written|cannot be written|left tasks behind|taken over")
def test_an_engine_stops_also_while_the_disk_refuses_and_the_next_one_goes_on(tmp_path: Path) -> None:
    def strike(site: str) -> None:
        if site == "storage.commit":
            raise DiskFull("There is no space left.")

    async def work() -> None:
        box = Box()
        async with open_engine(tmp_path, {"box.it": box}, stop_s=0.01) as here:
            held = await here.submit("box.it.hold")
            await box.entered.wait()
            faults.arm(strike)
        faults.arm(None)
        box = Box()
        box.gate.set()

        def forget(connection: Connection) -> None:
            connection.execute("UPDATE engines SET started = 'another process'")

        async with open_engine(tmp_path, {"box.it": box}, serve=False) as here:
            await here.database.write(forget)
            await here.engine.serve()
            assert (await here.engine.wait(held.id)).status == "succeeded"

    try:
        run(work())
    finally:
        faults.arm(None)
