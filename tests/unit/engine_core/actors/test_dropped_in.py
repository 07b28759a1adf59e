"""An extension whose folder comes, changes or goes while the node runs: its actors follow by themselves."""

import asyncio
import shutil
import sys
from pathlib import Path

import pytest

from legion_core.api.actors import Actors
from legion_core.engine.folder_watch import FolderWatch
from tests.support.aio import run
from tests.unit.engine_core.actors.hosting import open_host

linux = pytest.mark.skipif(sys.platform != "linux", reason="the system's word is inotify's")
BEATING = '''"""Beats."""

from pathlib import Path
from legion_core.engine.actors import every

@every(seconds=0.05, record=False)
def beat() -> None:
    """Leaves a mark."""
    Path({path!r}).touch()
'''
BOUND_S = 60.0


async def until(path: Path) -> None:
    """Once something stands there: nothing depends on how long it takes."""
    async with asyncio.timeout(BOUND_S):
        while not path.exists():
            await asyncio.sleep(0.02)


@linux
@pytest.mark.slow
@pytest.mark.requirement("extensions.dropped-in")
def test_actors_of_a_folder_dropped_in_begin_change_and_end_without_a_restart(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "home" / "extensions"

    async def work() -> tuple[bool, list[str]]:
        async with open_host(home, {}, starts=False) as here:
            actors = Actors(here.engine.registry, folder, here.host._supervisor, lambda: here.host)
            await actors.work()
            try:
                (folder / "mine").mkdir()
                (folder / "mine" / "pulse.py").write_text(BEATING.format(path=str(tmp_path / "first")))
                await until(tmp_path / "first")
                (folder / "mine" / "pulse.py").write_text(BEATING.format(path=str(tmp_path / "second")))
                await until(tmp_path / "second")
                shutil.rmtree(folder / "mine")
                async with asyncio.timeout(BOUND_S):
                    while here.host._lives:
                        await asyncio.sleep(0.02)
                (folder / "other").mkdir()
                (folder / "other" / "pulse.py").write_text(BEATING.format(path=str(tmp_path / "third")))
                await until(tmp_path / "third")
                return True, sorted(here.host._lives)
            finally:
                await actors.stop()

    assert run(work(), bound_s=240.0) == (True, ["other.pulse.beat"])


@linux
def test_a_folder_that_cannot_be_watched_disturbs_nobody(tmp_path: Path) -> None:
    async def work() -> bool:
        (tmp_path / "file").write_text("")
        watch = FolderWatch(tmp_path / "file", lambda: None)
        began = watch.start()
        watch.stop()
        watch.stop()
        return began

    assert run(work()) is False


@linux
def test_names_of_every_kind_are_watched_and_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = tmp_path / "extensions"
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    for name in ("..x", "-rf", "a b", "'; --", "\n", "é" * 60, "__pycache__"):
        (folder / name).mkdir()

    async def work() -> int:
        heard = asyncio.Event()
        watch = FolderWatch(folder, heard.set)
        assert watch.start()
        try:
            (folder / "new").mkdir()
            async with asyncio.timeout(BOUND_S):
                await heard.wait()
        finally:
            watch.stop()
        return 1

    assert run(work()) == 1
