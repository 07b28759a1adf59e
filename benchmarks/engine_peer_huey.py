"""A peer of `benchmarks.engine`: Huey on SQLite, as it comes (SQLite's default synchronous mode).

    PYTHON benchmarks/engine_peer_huey.py JOBS PROBES

Prints one JSON object. It accepts JOBS jobs that append one byte to a file and runs them with two worker threads beside
the acceptor. Then it submits PROBES jobs one at a time and measures how long each takes to have its effect.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

import huey
from huey import SqliteHuey

WORKERS = 2


def main() -> None:
    """See the module."""
    folder, jobs, probes = Path(os.environ["LEGION_BENCH_FOLDER"]), int(sys.argv[1]), int(sys.argv[2])
    queue = SqliteHuey("bench", filename=str(folder / "huey.db"))
    done = 0
    lock = threading.Lock()
    moved = threading.Condition(lock)

    effects = os.open(folder / "effects", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    @queue.task()
    def noop() -> None:
        nonlocal done
        os.write(effects, b".")
        with moved:
            done += 1
            moved.notify_all()

    consumer = queue.create_consumer(workers=WORKERS, worker_type="thread", periodic=False)
    consumer.start()
    cpu_s, start_s = time.process_time(), time.perf_counter()
    for _ in range(jobs):
        noop()
    accepted_s = time.perf_counter() - start_s
    with moved:
        moved.wait_for(lambda: done >= jobs)
    whole_s, cpu_s = time.perf_counter() - start_s, time.process_time() - cpu_s
    latencies = []
    for number in range(probes):
        time.sleep(0.02)  # idle in between
        begin_s = time.perf_counter()
        noop()
        with moved:
            moved.wait_for(lambda wanted=jobs + number + 1: done >= wanted)
        latencies.append(time.perf_counter() - begin_s)
    consumer.stop()
    assert (folder / "effects").stat().st_size == jobs + probes
    print(
        json.dumps(
            {
                "peer": f"huey {huey.__version__}",
                "accept_per_s": jobs / accepted_s,
                "done_per_s": jobs / whole_s,
                "cpu_us": cpu_s / jobs * 1e6,
                "latencies_s": latencies,
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    main()
