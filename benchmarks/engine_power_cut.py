"""Cuts the power under a task engine, and looks for broken promises.

    python -m benchmarks.engine_power_cut [--cuts 200] [--tasks 400] [--seed 1] [--durability power] [--json]

An engine of class `power` accepts and runs tasks, and chains with a fan-out and a join (`benchmarks.engine_chain`), on a
disk that records every write and every sync. Then the disk is cut at chance moments: all that was synced by then is kept, and of the rest an arbitrary part, torn by sector. On each
of these disks an engine is opened that runs what is left, and then must hold:

    lost         a task or run that was acknowledged before the cut is there
    forgotten    a task whose end was told before the cut has ended, the same way, and does not run again
    untraced     a function that was called before the cut was called for a task that is there: no effect without record
    unflagged    one that is called again after the cut is told so
    doubled      what writes with its completion is there exactly once; what must not be repeated is not; a join is one task
    unfinished   everything accepted ends, each run with all its nodes
    corrupt      SQLite finds no fault in the file

With `--durability process`, which promises nothing against a power cut, it shows that it finds what it looks for.
"""

import argparse
import asyncio
import json
import random
import tempfile
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import engine_chain
from legion_core.engine.events import TaskFinished
from legion_core.engine.extension import Context, function
from legion_core.engine.orders import Order
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.storage.sqlite import Connection, Durability, execute, rows, script
from legion_core.testing.tasks import UnderTest, open_engine
from tests.contract.storage.disks import Recording, RecordingDisk, image_after_cut, mounted

NAMES = ("plain", "transactional", "at_most_once")
FAULTS = ("lost", "forgotten", "untraced", "unflagged", "doubled", "unfinished", "corrupt")
NODES = dict.fromkeys(engine_chain.EXPECTED, "transactional") | {"first": "fan", "last": "plain"}
CALLERS = 6
CHAIN_EVERY = 10
CHECKPOINT_PAGES = 60  # small, so that checkpoints and the log begun anew are part of the story


@dataclass(slots=True)
class Effects:
    """One function of each kind. `calls` holds where in the story each was called, and whether it was told of a first."""

    now: "Recording"
    calls: list[tuple[str, int, bool]] = field(default_factory=list[tuple[str, int, bool]])

    def _call(self, context: Context) -> None:
        self.calls.append((context.task_id, len(self.now.steps), context.is_redelivered))

    @function()
    async def plain(self, context: Context) -> str:
        """At least once."""
        self._call(context)
        return context.task_id

    @function()
    async def fan(self, context: Context) -> dict[str, Any]:
        """As `plain`, and gives what a chain fans out over."""
        self._call(context)
        return engine_chain.result_of_first()

    @function(effect="transactional")
    async def transactional(self, context: Context) -> str:
        """A row together with its completion."""
        self._call(context)
        task_id = context.task_id

        def work(connection: Connection) -> None:
            execute(connection, "INSERT INTO ext_cut VALUES(?)", [task_id])

        context.defer(work)
        return task_id

    @function(effect="at_most_once")
    async def at_most_once(self, context: Context) -> str:
        """Must not be repeated."""
        self._call(context)
        return context.task_id


@dataclass(slots=True)
class Story:
    """What was promised, and after how many steps of the disk."""

    start: Mapping[str, bytes]
    recording: Recording = field(default_factory=Recording)
    accepted: dict[str, int] = field(default_factory=dict[str, int])
    ended: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    calls: list[tuple[str, int, bool]] = field(default_factory=list[tuple[str, int, bool]])
    runs: dict[str, int] = field(default_factory=dict[str, int])


@contextmanager
def recorded(recording: Recording) -> Generator[str]:
    """A disk that records, by the name SQLite knows it by."""
    name = f"recorded-{id(recording)}"
    with mounted(RecordingDisk(name, recording)):
        yield name


async def tell(folder: Path, tasks: int, seed: int, durability: Durability) -> Story:
    """Live through it once, on the recording disk."""
    async with open_engine(folder, {}, serve=False) as here:
        await here.database.write(lambda connection: script(connection, "CREATE TABLE ext_cut(task TEXT)"))
    async with open_engine(folder, {"cut.it": Effects(Recording())}, serve=False) as here:
        await here.engine.chains.apply_value(LOCAL_OWNER, engine_chain.document("cut.it", NODES))
    story = Story({path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()})
    effects = Effects(story.recording)
    chance = random.Random(seed)
    steps = story.recording.steps
    with recorded(story.recording) as disk:
        async with open_engine(folder, {"cut.it": effects}, durability=durability, vfs=disk) as here:
            await here.database.write(
                lambda connection: script(connection, f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
            )
            with here.bus.subscribe(TaskFinished, size_max=20 * tasks) as told:

                async def listen() -> None:
                    async for event in told:
                        assert isinstance(event, TaskFinished)
                        story.ended[event.id] = (len(steps), event.status)

                listener = asyncio.ensure_future(listen())
                left = iter(range(tasks))

                async def caller() -> None:
                    for number in left:
                        if number % CHAIN_EVERY == 0:
                            run = await here.engine.chains.run(LOCAL_OWNER, engine_chain.NAME, None)
                            story.runs[run] = len(steps)
                            continue
                        name = chance.choice(NAMES)
                        order = Order(task=f"cut.it.{name}", delay_s=0.02 if chance.random() < 0.1 else 0.0)
                        accepted = await here.engine.submit(LOCAL_OWNER, order)
                        story.accepted[accepted.id] = len(steps)

                await asyncio.gather(*(caller() for _ in range(CALLERS)))
                await drain(here)
            await listener
    story.calls = effects.calls
    return story


async def drain(here: UnderTest) -> bool:
    """Wait until nothing is left to run; False if it never comes to that."""
    for _ in range(6_000):
        if not await here.engine.counts():
            return True
        await asyncio.sleep(0.005)
    return False


async def cut(story: Story, place: int, folder: Path, chance: random.Random) -> Counter[str]:
    """What is wrong after a cut at that step of the disk."""
    for name, content in image_after_cut(dict(story.start), story.recording.steps[:place], chance).items():
        (folder / name).write_bytes(content)
    before = {task_id for task_id, step, _ in story.calls if step <= place}
    effects = Effects(Recording())
    found: Counter[str] = Counter()
    async with open_engine(folder, {"cut.it": effects}, serve=False) as here:
        found["corrupt"] = len(await here.database.check())
        # No process survives a power cut, and this one must not be taken for the one of the story.
        await here.database.write(
            lambda connection: execute(connection, "UPDATE engines SET started = 'before'")
        )
        there = await _table(here)
        await here.engine.serve()
        found["unfinished"] = not await drain(here)
        over = await _table(here)
        booked = Counter(
            str(task) for (task,) in await here.database.read(lambda c: rows(c, "SELECT task FROM ext_cut"))
        )
        runs = await here.database.read(engine_chain.statuses)
        nodes = await here.database.read(engine_chain.nodes_of)
    again = Counter(task_id for task_id, _, _ in effects.calls)
    owed = [run for run, step in story.runs.items() if step <= place]
    found.update(engine_chain.judge(owed, runs, nodes))
    found["lost"] += sum(step <= place and task_id not in there for task_id, step in story.accepted.items())
    found["forgotten"] = sum(
        step <= place and (_status(there, task_id) != status or again[task_id] > 0)
        for task_id, (step, status) in story.ended.items()
    )
    found["untraced"] = sum(task_id not in there for task_id in before)
    found["unflagged"] = sum(
        task_id in before and not is_redelivered for task_id, _, is_redelivered in effects.calls
    )
    for task_id, (name, status) in over.items():
        if name == "transactional":
            found["doubled"] += booked[task_id] != (status == "succeeded")
        elif name == "at_most_once":
            found["doubled"] += (task_id in before) + again[task_id] > 1
        found["unfinished"] += status not in ("succeeded", "unknown")
    return found


def _status(table: Mapping[str, tuple[str, str]], task_id: str) -> str:
    return table.get(task_id, ("", ""))[1]


async def _table(here: UnderTest) -> dict[str, tuple[str, str]]:
    """Of each task the function's name and the status."""
    found = await here.database.read(
        lambda connection: rows(connection, "SELECT id, task, status FROM tasks")
    )
    return {str(task_id): (str(task).rpartition(".")[2], str(status)) for task_id, task, status in found}


def measure(cuts: int, tasks: int, seed: int, durability: Durability = "power") -> dict[str, Any]:
    """Tell the story, cut it, and count what is wrong."""
    chance = random.Random(seed)
    found: Counter[str] = Counter(dict.fromkeys(FAULTS, 0))
    with tempfile.TemporaryDirectory(prefix="legion-cut-") as folder:
        home = Path(folder) / "story"
        home.mkdir()
        story = asyncio.run(tell(home, tasks, seed, durability))
        places = sorted(chance.randrange(len(story.recording.steps) + 1) for _ in range(cuts))
        for number, place in enumerate(places):
            after = Path(folder) / f"cut-{number}"
            after.mkdir()
            found += asyncio.run(cut(story, place, after, chance))
    assert len(story.accepted) + len(story.runs) == tasks
    figures = {name: found[name] for name in FAULTS}
    steps = story.recording
    return figures | {
        "violations": sum(figures.values()),
        "cuts": cuts,
        "tasks": len(story.ended),
        "runs": len(story.runs),
        "disk_steps": len(steps.steps),
        "log_syncs": steps.syncs("-wal"),
        "checkpoints": steps.syncs(".db"),
    }


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--tasks", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--durability", choices=("power", "process"), default="power")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    figures = measure(asked.cuts, asked.tasks, asked.seed, asked.durability)
    print(json.dumps(figures) if asked.json else figures)
    if figures["violations"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
