"""Kills task engines with SIGKILL at chance moments, and looks for tasks that were lost or had their effect twice.

Several processes share one journal: they accept tasks (and report each id once it is acknowledged), run them, and are
killed one at a time or all at once at random moments, and started again. At the end a last one runs what is left, and
then every acknowledged task must be there and over, and its effect must have happened as its class says:

    plain            at least once; a second start only on a task flagged as redelivered
    transactional    exactly once: rows in the journal itself
    idempotent_key   any number of times, but always under the same key: the receiver keeps one
    fenced_file      exactly one whole file, and nothing half-made beside it
    at_most_once     at most once, and where it is not known to have happened the task says `unknown`

Every fifth thing accepted is a run of a chain with a fan-out and a join (`benchmarks.engine_chain`): each of its nodes
must have run once, the join too, and the run must have succeeded.

    python -m benchmarks.engine_crash [--rounds 200] [--processes 2] [--seed 1] [--json]
"""

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks import engine_chain
from legion_core.engine.extension import Context, function
from legion_core.engine.orders import Order
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.storage.sqlite import Connection, execute, rows
from legion_core.testing.tasks import UnderTest, open_engine

CLASSES = ("plain", "transactional", "idempotent_key", "fenced_file", "at_most_once")
CHAIN = "chain"
NODES = {
    "first": "fan",
    "each": "transactional",
    "side": "idempotent_key",
    "file": "fenced_file",
    "join": "transactional",
    "last": "plain",
}
RETRIES = 50  # killed this often from outside, a task is not taken for the one that kills
IN_FLIGHT = 8
SHOWN = 20  # of what is wrong
READY_S = 30.0


class Effects:
    """One function of each class; each leaves a trace outside that a second run would show."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def _trace(self, name: str, *words: object) -> None:
        # One small write at the end of a file is whole or absent, also under SIGKILL.
        handle = os.open(self._home / f"{name}.trace", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, (" ".join(map(str, words)) + "\n").encode())
        finally:
            os.close(handle)

    @function(retries=RETRIES)
    async def plain(self, context: Context) -> None:
        """Leaves a line for each start."""
        self._trace("plain", context.task_id, int(context.is_redelivered))
        await asyncio.sleep(0.001)

    @function(retries=RETRIES)
    async def fan(self, context: Context) -> dict[str, Any]:
        """As `plain`, and gives what a chain fans out over."""
        await self.plain(context)
        return engine_chain.result_of_first()

    @function(effect="transactional", retries=RETRIES)
    async def transactional(self, context: Context) -> None:
        """Leaves a row together with its completion."""
        task_id = context.task_id

        def work(connection: Connection) -> None:
            execute(connection, "INSERT INTO ext_crash VALUES(?)", [task_id])

        context.defer(work)
        await asyncio.sleep(0.001)

    @function(effect="idempotent_key", retries=RETRIES)
    async def idempotent_key(self, context: Context) -> None:
        """Leaves its key with a receiver."""
        self._trace("idempotent_key", context.task_id, context.key())
        await asyncio.sleep(0.001)

    @function(effect="fenced_file", retries=RETRIES)
    def fenced_file(self, context: Context) -> bool:
        """Leaves a file."""
        return context.write_file(str(self._home / "out" / context.task_id), context.task_id.encode() * 100)

    @function(effect="at_most_once")
    async def at_most_once(self, context: Context) -> None:
        """Leaves a line that must stay alone."""
        self._trace("at_most_once", context.task_id)
        await asyncio.sleep(0.001)


def opened(home: Path):
    """An engine with these functions on the journal of `home`."""
    return open_engine(home, {"crash.it": Effects(home)}, stop_s=5.0)


async def child(home: Path, is_acceptor: bool) -> None:
    """Run tasks until killed; an acceptor also submits them and reports what was acknowledged, a line each."""
    async with opened(home) as here:
        print("ready", flush=True)
        if not is_acceptor:
            await asyncio.Event().wait()

        async def keep_submitting(offset: int) -> None:
            number = offset
            while True:
                name = (*CLASSES, CHAIN)[number % (len(CLASSES) + 1)]
                if name == CHAIN:
                    run = await here.engine.chains.run(LOCAL_OWNER, engine_chain.NAME, None)
                    os.write(1, f"{run} {name}\n".encode())
                    number += 1
                    continue
                delay_s = 0.01 if number % 17 == 0 else 0.0
                order = Order(task=f"crash.it.{name}", delay_s=delay_s)
                accepted = await here.engine.submit(LOCAL_OWNER, order)
                # Straight to the pipe: what was printed was acknowledged before.
                os.write(1, f"{accepted.id} {name}\n".encode())
                number += 1
                await asyncio.sleep(0.002)

        await asyncio.gather(*(keep_submitting(offset) for offset in range(IN_FLIGHT)))


class Process:
    """A child under fire."""

    def __init__(self, home: Path, is_acceptor: bool) -> None:
        self.is_acceptor = is_acceptor
        command = [sys.executable, "-m", "benchmarks.engine_crash", "--child", str(home)]
        if is_acceptor:
            command.append("--acceptor")
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line == "ready\n", f"the child said {line!r}"

    def kill(self) -> dict[str, str]:
        """End it now; the tasks it had acknowledged."""
        assert self._process.stdout is not None
        assert self._process.poll() is None, f"the child ended by itself with {self._process.returncode}"
        self._process.send_signal(signal.SIGKILL)
        said = self._process.stdout.read()
        self._process.wait()
        self._process.stdout.close()
        whole = said[: said.rfind("\n") + 1].splitlines()
        return dict(line.split() for line in whole)


async def prepare(home: Path) -> None:
    """The journal and what the functions write to."""
    (home / "out").mkdir(parents=True)
    async with opened(home) as here:
        await here.database.write(lambda connection: execute(connection, "CREATE TABLE ext_crash(task TEXT)"))
        await here.engine.chains.apply_value(LOCAL_OWNER, engine_chain.document("crash.it", NODES))


async def drain(here: UnderTest) -> None:
    """Run what is left."""
    for _ in range(6000):
        if not await here.engine.counts():
            return
        await asyncio.sleep(0.01)
    raise SystemExit(f"tasks are stuck: {await here.engine.counts()}")


async def examine(home: Path, acknowledged: dict[str, str]) -> dict[str, int]:
    """Run what is left, and count what is wrong."""
    found = Counter(lost=0, doubled=0, unflagged=0, unfinished=0, unknown=0, redelivered=0, corrupt=0)
    async with opened(home) as here:
        await drain(here)
        table = await here.database.read(
            lambda connection: rows(
                connection, "SELECT id, task, status, is_redelivered, CAST(reason AS TEXT) FROM tasks"
            )
        )
        kept = {
            str(task_id): (str(task), str(status), bool(again), str(why))
            for task_id, task, status, again, why in table
        }
        deferred = Counter(
            str(task) for (task,) in await here.database.read(lambda c: rows(c, "SELECT task FROM ext_crash"))
        )
        found["corrupt"] = len(await here.database.check())
        runs = await here.database.read(engine_chain.statuses)
        nodes = await here.database.read(engine_chain.nodes_of)
    started = [each for each, name in acknowledged.items() if name == CHAIN]
    found.update(engine_chain.judge(started, runs, nodes))
    found["runs"] = len(runs)
    found["tasks"] = len(kept)
    wrong = [
        f"{run}: {status}, {dict(nodes.get(run, {}))}"
        for run, status in runs.items()
        if status != "succeeded"
    ]
    traces = {name: _trace(home, name) for name in ("plain", "idempotent_key", "at_most_once")}
    starts = {name: Counter(words[0] for words in lines) for name, lines in traces.items()}
    keys: dict[str, set[str]] = {}
    for task_id, key in traces["idempotent_key"]:
        keys.setdefault(task_id, set()).add(key)
    found["lost"] += sum(name != CHAIN and each not in kept for each, name in acknowledged.items())
    for task_id, (task, status, again, why) in kept.items():
        name = task.rpartition(".")[2]
        found["redelivered"] += again
        found["unknown"] += status == "unknown"
        if status != "succeeded" and not (status == "unknown" and name == "at_most_once"):
            found["unfinished"] += 1
            wrong.append(f"{task_id} {task}: {status}, {why}")
        match name:
            case "plain" | "fan":
                found["lost"] += starts["plain"][task_id] == 0
                found["unflagged"] += starts["plain"][task_id] > 1 and not again
            case "transactional":
                found["lost"] += deferred[task_id] == 0
                found["doubled"] += deferred[task_id] > 1
            case "idempotent_key":
                found["lost"] += task_id not in keys
                found["doubled"] += len(keys.get(task_id, ())) > 1
            case "fenced_file":
                path = home / "out" / task_id
                found["lost"] += not path.exists() or path.read_bytes() != task_id.encode() * 100
            case "at_most_once":
                found["doubled"] += starts["at_most_once"][task_id] > 1
                found["lost"] += status == "succeeded" and starts["at_most_once"][task_id] == 0
            case _:
                raise AssertionError(task)
    # A temporary file whose task never got as far as recording it may stay; a prepared and recorded one may not.
    found["leftover"] = sum(1 for path in (home / "out").iterdir() if path.name.endswith(".part"))
    for sentence in wrong[:SHOWN]:
        print(sentence, file=sys.stderr)
    return dict(found)


def _trace(home: Path, name: str) -> list[list[str]]:
    path = home / f"{name}.trace"
    return [line.split() for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def main() -> None:
    """Run the rounds and print the sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", type=Path)
    parser.add_argument("--acceptor", action="store_true")
    options = parser.parse_args()
    if options.child is not None:
        asyncio.run(child(options.child, options.acceptor))
        return
    rng = random.Random(options.seed)
    kills, acknowledged = 0, dict[str, str]()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        asyncio.run(prepare(home))
        crew: list[Process] = []
        try:
            crew += [Process(home, is_acceptor=number == 0) for number in range(options.processes)]
            while kills < options.rounds:
                time.sleep(rng.uniform(0.0, 0.5))
                victims = list(crew) if rng.random() < 0.2 else [rng.choice(crew)]
                for victim in victims:
                    crew.remove(victim)
                    acknowledged |= victim.kill()
                    kills += 1
                crew += [Process(home, is_acceptor=victim.is_acceptor) for victim in victims]
        finally:
            for each in crew:
                acknowledged |= each.kill()
                kills += 1
        sums = {"kills": kills, "acknowledged": len(acknowledged)} | asyncio.run(examine(home, acknowledged))
    print(json.dumps(sums) if options.json else sums)
    if any(sums[name] for name in ("lost", "doubled", "unflagged", "unfinished", "corrupt")):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
