"""What the peers behind a broker share: how one is timed, seen from its sender. Imported by `engine_peer_*.py` alone.

Runs in the peers' own interpreter, so it uses the standard library only. The sender starts the peer's own worker as
its documentation says, sends jobs that append one byte to a file, and counts the effects through a named pipe, which
wakes it at once and costs it nothing while it sends. Settings come by the environment (`benchmarks.engine_peers`).
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

FOLDER = Path(os.environ["LEGION_BENCH_FOLDER"])
AMQP_URL = os.environ.get("LEGION_BENCH_AMQP_URL", "")
NAME = os.environ.get("LEGION_BENCH_NAME", "bench")  # of the queue: each run has one of its own
BROKER = int(
    os.environ.get("LEGION_BENCH_BROKER", "0")
)  # the broker's session, whose processor time counts too
WARM_UP_S, JOBS_S, PROBE_S = 60.0, 240.0, 20.0
WORKER_END_S = 15.0
IDLE_S = 0.02  # between two probes


class Effect:
    """The job itself, in the worker's process: one byte into the file, one into the pipe that wakes the sender."""

    def __init__(self) -> None:
        self._handles: tuple[int, ...] = ()

    def __call__(self) -> None:
        """Let it happen."""
        if not self._handles:  # after the worker forked, so that each process has its own
            file = os.open(FOLDER / "effects", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            self._handles = (file, os.open(FOLDER / "woken", os.O_WRONLY))
        for handle in self._handles:
            os.write(handle, b".")


class Gauge:
    """The sender's side of the pipe."""

    def __init__(self) -> None:
        os.mkfifo(FOLDER / "woken")
        self._pipe = os.open(FOLDER / "woken", os.O_RDWR | os.O_NONBLOCK)
        self._done = 0

    def reach(self, count: int, timeout_s: float) -> None:
        """Wait until so many effects have happened since the start."""
        while self._done < count:
            if not select.select([self._pipe], [], [], timeout_s)[0]:
                raise SystemExit(
                    f"{self._done} of {count} effects happened, then none within {timeout_s:.0f} s"
                )
            self._done += len(os.read(self._pipe, 65536))


def session_cpu_s(session: int) -> float:
    """Processor time of all processes of a session so far."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def time_peer(
    peer: str,
    worker: Sequence[str],
    send_many: Callable[[int], None],
    send_one: Callable[[Callable[[], None]], None],
) -> None:
    """Measure and print one JSON object.

    `send_many` returns when the peer calls that many jobs accepted. `send_one` sends one and calls what it is given
    as early as it can, which waits for the effect.
    """
    jobs, probes = int(sys.argv[1]), int(sys.argv[2])
    gauge = Gauge()
    log = (FOLDER / "worker.log").open("w")
    process = subprocess.Popen(
        worker, stdout=log, stderr=log, cwd=Path(__file__).parent, start_new_session=True
    )
    try:
        send_many(1)
        gauge.reach(1, WARM_UP_S)

        def spent_s() -> float:
            return (
                time.process_time() + session_cpu_s(process.pid) + (session_cpu_s(BROKER) if BROKER else 0.0)
            )

        cpu_s, start_s = spent_s(), time.perf_counter()
        send_many(jobs)
        accepted_s = time.perf_counter() - start_s
        gauge.reach(jobs + 1, JOBS_S)
        whole_s = time.perf_counter() - start_s
        cpu_s = spent_s() - cpu_s
        latencies: list[float] = []
        for number in range(probes):
            time.sleep(IDLE_S)
            start_s = time.perf_counter()

            def wait(number: int = number, start_s: float = start_s) -> None:
                gauge.reach(jobs + number + 2, PROBE_S)
                latencies.append(time.perf_counter() - start_s)

            send_one(wait)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(WORKER_END_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()
    happened = (FOLDER / "effects").stat().st_size
    assert happened == jobs + probes + 1, f"{happened} effects of {jobs + probes + 1}"
    print(
        json.dumps(
            {
                "peer": peer,
                "accept_per_s": jobs / accepted_s,
                "done_per_s": jobs / whole_s,
                "cpu_us": cpu_s / jobs * 1e6,
                "latencies_s": latencies,
            }
        ),
        flush=True,
    )
