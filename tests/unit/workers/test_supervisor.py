"""A worker against a scripted child: every way to die, stall and lie, and what the caller is told."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from legion_core.kernel import faults
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import (
    Corrupt,
    Malformed,
    Overloaded,
    StreamBroken,
    TimedOut,
    Unavailable,
    Unsupported,
    WorkerDied,
)
from legion_core.kernel.supervise import Supervisor
from legion_core.testing.engines import fake_command
from legion_core.testing.fake_engine import Life, Script, Turn, write_script
from legion_core.testing.worker_conformance import ask, collect
from legion_core.workers import process as process_module
from legion_core.workers.frames import Done, Load, Message, Params, Token
from legion_core.workers.process import ChildProcess, Flight, child_environment
from legion_core.workers.supervisor import ChatRequest, Health, Limits, Worker
from tests.support import aio
from tests.support.timeouts import old_timeouts  # noqa: F401

QUICK = Limits(load_s=20, first_token_s=20, idle_s=20, stop_s=5, backoff_first_s=0.001, backoff_max_s=0.01)
LONG = ask("Tell me a very long story.", tokens=900)
SHORT = ask("Count.", tokens=3)


@asynccontextmanager
async def scripted(
    folder: Path, *lives: Life, limits: Limits = QUICK, **more: object
) -> AsyncGenerator[Worker, None]:
    supervisor = Supervisor()
    model = folder / "toy.gguf"
    model.write_bytes(b"GGUF")
    script = write_script(folder / "script.json", Script(lives=lives or (Life(),)))
    worker = Worker(
        supervisor,
        SystemClock(),
        Load(model_path=str(model)),
        engine="fake",
        command=fake_command(script),
        limits=limits,
        **more,  # type: ignore[arg-type]
    )
    try:
        yield worker
    finally:
        await worker.stop()
        await supervisor.stop()
        assert supervisor.census == ()


async def _gather(worker: Worker, seen: list[str]) -> None:
    async for frame in worker.chat(LONG):
        assert isinstance(frame, Token)
        seen.append(frame.text)


def _dies(**how: object) -> Life:
    return Life(turns=(Turn(**how),))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGABRT"])
def test_a_crash_mid_answer_names_its_signal_and_the_next_question_is_answered(
    name: str, tmp_path: Path
) -> None:
    async def check() -> None:
        async with scripted(tmp_path, _dies(die_at=3, die_by=name), Life()) as worker:
            seen: list[str] = []
            with pytest.raises(WorkerDied, match=name) as caught:
                await _gather(worker, seen)
            assert "".join(seen) == "one two three"
            assert caught.value.exit_code == -getattr(signal, name)
            assert caught.value.hint
            text, _, _ = await collect(worker, SHORT)
            assert text == "one two three"
            assert (worker.health.crashes, worker.health.starts) == (1, 2)
            assert name in worker.health.last_exit

    aio.run(check())


def test_an_exit_with_a_status_is_told_as_such(tmp_path: Path) -> None:
    async def check() -> None:
        async with scripted(tmp_path, _dies(die_at=0, die_by="exit 3")) as worker:
            with pytest.raises(WorkerDied, match="exit code 3") as caught:
                await collect(worker, SHORT)
            assert caught.value.exit_code == 3

    aio.run(check())


def test_every_open_request_learns_of_the_death_and_a_waiting_one_is_served_by_the_next_child(
    tmp_path: Path,
) -> None:
    async def check() -> None:
        gate = tmp_path / "gate"
        os.mkfifo(gate)
        turns = (Turn(gate=str(gate)), Turn(die_at=2))
        async with scripted(tmp_path, Life(slots=2, turns=turns), Life()) as worker:

            async def outcome() -> str:
                try:
                    text, _, _ = await collect(worker, SHORT)
                except WorkerDied:
                    return "died"
                return text

            await worker.start()
            ends = await asyncio.gather(outcome(), outcome(), outcome())
            assert ends == ["died", "died", "one two three"]

    aio.run(check())


def test_what_is_not_a_frame_ends_the_worker_and_is_never_a_hang(tmp_path: Path) -> None:
    async def check() -> None:
        async with scripted(tmp_path, _dies(garbage_at=2), Life()) as worker:
            with pytest.raises(WorkerDied, match="not a frame"):
                await collect(worker, LONG)
            text, _, _ = await collect(worker, SHORT)
            assert text

    aio.run(check())


def test_what_a_library_prints_does_not_reach_the_frames(tmp_path: Path) -> None:
    async def check() -> None:
        async with scripted(tmp_path, Life(load="print")) as worker:
            text, _, _ = await collect(worker, SHORT)
            assert text == "one two three"
            assert "loading tensors" in worker.stderr_tail

    aio.run(check())


def test_a_stalled_answer_times_out_and_is_cancelled_in_the_child(tmp_path: Path) -> None:
    async def check() -> None:
        limits = Limits(idle_s=0.1, first_token_s=20)
        life = Life(turns=(Turn(stall_at=2), Turn()))
        async with scripted(tmp_path, life, limits=limits) as worker:
            with pytest.raises(TimedOut, match="no token"):
                await collect(worker, LONG)
            text, _, _ = await collect(worker, SHORT)
            assert text == "one two three"
            assert worker.health.crashes == 0

    aio.run(check())


def test_a_child_that_ignores_a_cancel_is_killed(tmp_path: Path) -> None:
    async def check() -> None:
        limits = Limits(idle_s=0.1, cancel_s=0.1, backoff_first_s=0.001)
        deaf = Life(turns=(Turn(stall_at=1, is_deaf=True),))
        async with scripted(tmp_path, deaf, Life(), limits=limits) as worker:
            with pytest.raises(TimedOut):
                await collect(worker, LONG)
            text, _, _ = await collect(worker, SHORT)
            assert text == "one two three"
            assert (worker.health.crashes, worker.health.starts) == (1, 2)

    aio.run(check())


def test_a_load_that_never_ends_times_out_and_leaves_no_process(tmp_path: Path) -> None:
    async def check() -> None:
        async with scripted(tmp_path, Life(load="hang"), Life(), limits=Limits(load_s=0.3)) as worker:
            with pytest.raises(TimedOut, match="not loaded within"):
                await worker.start()
        assert worker.health.pid is None

    aio.run(check())


def test_a_refused_file_and_a_crash_while_loading_are_told_apart(tmp_path: Path) -> None:
    async def check() -> None:
        async with scripted(tmp_path, Life(load="refuse"), Life(load="die"), Life()) as worker:
            with pytest.raises(Malformed, match="could not be loaded"):
                await worker.start()
            with pytest.raises(WorkerDied, match="SIGSEGV"):
                await worker.start()
            assert (await worker.start()).engine == "fake"

    aio.run(check())


def test_crashes_in_a_row_make_the_worker_wait_and_it_says_for_how_long(tmp_path: Path) -> None:
    async def check() -> None:
        limits = Limits(backoff_first_s=500, backoff_max_s=1000)
        async with scripted(tmp_path, _dies(die_at=0), limits=limits) as worker:
            with pytest.raises(WorkerDied, match="SIGKILL"):
                await collect(worker, SHORT)
            with pytest.raises(WorkerDied, match="in a row") as caught:
                await collect(worker, SHORT)
            assert "started again in" in caught.value.hint
            assert worker.health.state == "backing_off"
            assert worker.health.starts == 1

    aio.run(check())


def test_an_answer_ends_the_row_of_crashes(tmp_path: Path) -> None:
    async def check() -> None:
        async with scripted(tmp_path, _dies(die_at=0), Life()) as worker:
            with pytest.raises(WorkerDied):
                await collect(worker, SHORT)
            assert worker.health.crashes_in_a_row == 1
            await collect(worker, SHORT)
            assert worker.health.crashes_in_a_row == 0

    aio.run(check())


def test_a_missing_file_is_told_without_starting_anything(tmp_path: Path) -> None:
    async def check() -> None:
        async with scripted(tmp_path) as worker:
            (tmp_path / "toy.gguf").unlink()
            with pytest.raises(Unsupported, match="not there"):
                await worker.start()
            assert worker.health.starts == 0

    aio.run(check())


def test_a_file_that_lies_never_reaches_the_child(tmp_path: Path) -> None:
    def lies(path: Path) -> None:
        raise Corrupt(f"{path.name} lies.")

    async def check() -> None:
        async with scripted(tmp_path, check=lies) as worker:
            with pytest.raises(Malformed, match=r"toy\.gguf lies"):
                await worker.start()
            assert worker.health.starts == 0

    aio.run(check())


def test_one_more_than_may_wait_is_refused_at_once(tmp_path: Path) -> None:
    async def check() -> None:
        life = Life(turns=(Turn(stall_at=1),))
        async with scripted(tmp_path, life, limits=Limits(waiting_max=1)) as worker:
            async with aclosing(worker.chat(LONG)) as first:
                await anext(first)
                supervisor = Supervisor()
                second = supervisor.spawn("second", collect(worker, SHORT))
                while worker.health.waiting_requests == 0:
                    await asyncio.sleep(0)
                with pytest.raises(Overloaded, match="1 requests waiting"):
                    await collect(worker, SHORT)
                second.cancel()
                await supervisor.stop()
            assert worker.health.waiting_requests == 0

    aio.run(check())


def test_a_cancelled_waiter_does_not_keep_the_slot(tmp_path: Path) -> None:
    async def check() -> None:
        life = Life(turns=(Turn(stall_at=1), Turn()))
        async with scripted(tmp_path, life) as worker:
            async with aclosing(worker.chat(LONG)) as first:
                await anext(first)
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await collect(worker, SHORT)
            text, _, _ = await collect(worker, SHORT)
            assert text == "one two three"

    aio.run(check())


def test_unload_waits_for_open_requests_and_the_next_question_loads_again(tmp_path: Path) -> None:
    async def check() -> None:
        async with scripted(tmp_path, Life(turns=(Turn(stall_at=1),)), Life()) as worker:
            assert not await worker.unload()
            async with aclosing(worker.chat(LONG)) as answer:
                await anext(answer)
                assert not await worker.unload()
            while worker.health.open_requests:
                await asyncio.sleep(0.01)
            assert not await worker.unload(idle_s=1000)
            assert await worker.unload()
            assert worker.health.state == "stopped"
            text, _, _ = await collect(worker, SHORT)
            assert text
            assert (worker.health.starts, worker.health.crashes) == (2, 0)

    aio.run(check())


def test_stopping_ends_open_answers_with_a_reason(tmp_path: Path) -> None:
    async def check() -> None:
        async with scripted(tmp_path, Life(turns=(Turn(stall_at=1),))) as worker:
            answer = worker.chat(LONG)
            await anext(answer)
            await worker.stop()
            with pytest.raises(WorkerDied, match="was stopped"):
                await anext(answer)
            assert worker.health.crashes == 0

    aio.run(check())


def test_stopping_while_it_loads_leaves_nothing(tmp_path: Path) -> None:
    async def check() -> None:
        async with scripted(tmp_path, Life(load="hang")) as worker:
            supervisor = Supervisor()
            starting = supervisor.spawn("start", worker.start())
            while worker.health.starts == 0:
                await asyncio.sleep(0.01)
            await worker.stop()
            await asyncio.gather(starting, return_exceptions=True)
            await supervisor.stop()
        assert worker.health.pid is None

    aio.run(check())


@pytest.mark.usefixtures("old_timeouts")
def test_a_process_that_ignores_the_hang_up_is_terminated_and_then_killed(tmp_path: Path) -> None:
    code = (
        "import signal, sys, threading; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "sys.stderr.write('up'); sys.stderr.flush(); threading.Event().wait()"
    )

    async def check() -> None:
        supervisor = Supervisor()
        deaths: list[int | None] = []
        child = await ChildProcess.spawn(
            (sys.executable, "-c", code),
            child_environment(),
            supervisor,
            "stubborn",
            1000,
            lambda dead: deaths.append(dead.exit_code),
        )
        while "up" not in child.stderr_tail:
            await asyncio.sleep(0.01)

        is_there = asyncio.Event()

        async def owner() -> None:
            try:
                is_there.set()
                await asyncio.Event().wait()
            finally:
                await child.stop(0.1)

        owning = asyncio.create_task(owner())
        await is_there.wait()
        owning.cancel()  # on Debian's Python too it is all done by whoever was cancelled
        await asyncio.gather(owning, return_exceptions=True)
        assert deaths == [-signal.SIGKILL]
        await supervisor.stop()

    aio.run(check())


def test_a_failure_of_the_engine_before_and_after_the_first_piece(tmp_path: Path) -> None:
    async def check() -> None:
        life = Life(turns=(Turn(fail_at=0), Turn(fail_at=2), Turn()))
        async with scripted(tmp_path, life) as worker:
            with pytest.raises(Unavailable) as caught:
                await collect(worker, SHORT)
            assert type(caught.value) is Unavailable
            with pytest.raises(StreamBroken) as broken:
                await collect(worker, SHORT)
            assert broken.value.chunks_seen >= 1
            text, _, _ = await collect(worker, SHORT)
            assert text
            assert worker.health.starts == 1

    aio.run(check())


def test_the_stderr_tail_is_bounded_and_holds_no_secret(tmp_path: Path) -> None:
    async def check() -> None:
        noise = "x" * 5000 + " error: api_key=sk-verysecret123456 refused\n"
        life = Life(stderr=noise, turns=(Turn(die_at=0),))
        async with scripted(tmp_path, life, limits=Limits(stderr_bytes=200)) as worker:
            with pytest.raises(WorkerDied, match="It last wrote"):
                await collect(worker, SHORT)
            assert len(worker.stderr_tail) <= 220
            assert "verysecret" not in worker.stderr_tail
            assert "refused" in worker.stderr_tail

    aio.run(check())


def test_the_child_gets_no_secret_from_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "LEGION_TOKEN", "LEGION_PASSPHRASE", "AWS_SECRET_ACCESS_KEY", "GH_TOKEN"):
        monkeypatch.setenv(name, "hush")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    environment = child_environment()
    assert "hush" not in environment.values()
    assert environment["CUDA_VISIBLE_DEVICES"] == "0"
    assert "PATH" in environment


def test_a_program_that_is_not_there_is_a_dead_worker(tmp_path: Path) -> None:
    async def check() -> None:
        supervisor = Supervisor()
        model = tmp_path / "toy.gguf"
        model.touch()
        load = Load(model_path=str(model))
        worker = Worker(supervisor, SystemClock(), load, command=(str(tmp_path / "nothing"),))
        with pytest.raises(WorkerDied, match="could not be started"):
            await worker.start()
        await supervisor.stop()

    aio.run(check())


def test_a_fault_in_the_middle_of_a_frame_is_a_dead_worker(tmp_path: Path) -> None:
    def strike(site: str) -> None:
        if site == "workers.frame":
            raise OSError("struck")

    async def check() -> None:
        async with scripted(tmp_path) as worker:
            await worker.start()
            faults.arm(strike)
            try:
                with pytest.raises(WorkerDied, match="struck"):
                    await collect(worker, SHORT)
            finally:
                faults.arm(None)
            text, _, _ = await collect(worker, SHORT)
            assert text

    aio.run(check())


def test_watchers_are_told_of_each_change(tmp_path: Path) -> None:
    seen: list[Health] = []

    async def check() -> None:
        async with scripted(tmp_path, on_change=seen.append) as worker:
            await worker.start()
        assert [health.state for health in seen] == ["starting", "ready", "stopped"]

    aio.run(check())


def test_a_slow_reader_loses_no_text_and_holds_few_frames(tmp_path: Path) -> None:
    async def check() -> None:
        flight = Flight(1, lambda: None)
        for number in range(1000):
            flight.push(Token(id=1, text=f"{number} "))
        flight.finish(Done(id=1, stop_reason="stop"))
        got = []
        while isinstance(frame := await flight.next(1), Token):
            got.append(frame)
        assert len(got) <= 64
        assert sum(frame.count for frame in got) == 1000
        assert "".join(frame.text for frame in got) == "".join(f"{n} " for n in range(1000))

    aio.run(check())


def test_a_request_too_large_for_a_frame_is_refused_and_the_worker_lives(tmp_path: Path) -> None:
    async def check() -> None:
        async with scripted(tmp_path) as worker:
            huge = ChatRequest(messages=(Message(role="user", content="x" * (33 << 20)),), params=Params())
            with pytest.raises(Malformed, match="over the bound"):
                await collect(worker, huge)
            text, _, _ = await collect(worker, SHORT)
            assert text
            assert worker.health.starts == 1

    aio.run(check())


def test_half_a_character_is_refused_and_the_worker_lives(tmp_path: Path) -> None:
    async def check() -> None:
        async with scripted(tmp_path) as worker:
            with pytest.raises(Malformed, match="surrogate"):
                await collect(worker, ask("half \ud83d of it"))
            text, _, _ = await collect(worker, SHORT)
            assert text
            assert worker.health.starts == 1

    aio.run(check())


def test_a_process_that_stopped_reading_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_module, "WRITE_S", 0.1)

    async def check() -> None:
        async with scripted(tmp_path) as worker:
            await worker.start()
            assert worker.health.pid is not None
            os.kill(worker.health.pid, signal.SIGSTOP)
            with pytest.raises(WorkerDied, match="read nothing"):
                await collect(worker, ask("x" * (4 << 20)))
            text, _, _ = await collect(worker, SHORT)
            assert text

    aio.run(check())


QASYNC = """
import asyncio, sys
from pathlib import Path
from PySide6.QtCore import QCoreApplication
import qasync
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.supervise import Supervisor
from legion_core.testing.engines import bench
from legion_core.testing.worker_conformance import ask, collect

async def main():
    supervisor = Supervisor()
    found = bench("fake", Path(sys.argv[1]))
    worker = found.worker(supervisor)
    text, _, _ = await collect(worker, ask("Count.", tokens=4))
    await worker.stop()
    await supervisor.stop()
    print(text)

app = QCoreApplication(sys.argv)
loop = qasync.QEventLoop(app)
with loop:
    loop.run_until_complete(main())
"""


def test_it_works_on_the_loop_of_the_window(tmp_path: Path) -> None:
    async def check() -> None:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            QASYNC,
            str(tmp_path),
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
        )
        out, _ = await child.communicate()
        assert out.decode().strip() == "one two three four"

    aio.run(check())
