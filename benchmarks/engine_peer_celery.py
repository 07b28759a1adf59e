"""A peer of `benchmarks.engine`: Celery on RabbitMQ with late acknowledgements, otherwise as it comes.

    PYTHON benchmarks/engine_peer_celery.py JOBS PROBES

One sender, a worker with two processes, no result backend (so it stores no end), no publisher confirms (its default).
"""

import sys
from collections.abc import Callable

import celery
from engine_peer_wire import AMQP_URL, NAME, Effect, time_peer

app = celery.Celery("engine_peer_celery", broker=AMQP_URL)
app.conf.update(
    task_default_queue=NAME,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_hijack_root_logger=False,
)
effect = Effect()


@app.task(name="bench.append")
def append() -> None:
    """One byte."""
    effect()


def send_many(count: int) -> None:
    """One after the other: sending blocks its thread."""
    for _ in range(count):
        append.delay()


def send_one(wait: Callable[[], None]) -> None:
    """Send and wait for the effect."""
    append.delay()
    wait()


if __name__ == "__main__":
    time_peer(
        f"celery {celery.__version__}",
        [sys.executable, "-m", "celery", "-A", "engine_peer_celery", "worker", "-c", "2", "-l", "WARNING"],
        send_many,
        send_one,
    )
