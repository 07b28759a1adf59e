"""A peer of `benchmarks.engine`: Dramatiq on RabbitMQ, otherwise as it comes; with or without publisher confirms.

    LEGION_BENCH_CONFIRMS=0|1 LEGION_BENCH_SENDERS=N PYTHON benchmarks/engine_peer_dramatiq.py JOBS PROBES

N threads that send, each with a channel of its own; a worker with two processes of eight threads (its default on two processors), no results.
"""

import os
import sys
import threading
from collections.abc import Callable

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from engine_peer_wire import AMQP_URL, NAME, Effect, time_peer

SENDERS = int(os.environ.get("LEGION_BENCH_SENDERS", "1"))
HAS_CONFIRMS = os.environ.get("LEGION_BENCH_CONFIRMS") == "1"
dramatiq.set_broker(RabbitmqBroker(url=AMQP_URL, confirm_delivery=HAS_CONFIRMS))
effect = Effect()


@dramatiq.actor(queue_name=NAME)
def append() -> None:
    """One byte."""
    effect()


def send_many(count: int) -> None:
    """Sending blocks its thread."""
    left = iter(range(count))

    def sender() -> None:
        for _ in left:
            append.send()

    threads = [threading.Thread(target=sender) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def send_one(wait: Callable[[], None]) -> None:
    """Send and wait for the effect."""
    append.send()
    wait()


if __name__ == "__main__":
    time_peer(
        f"dramatiq {dramatiq.__version__}"
        + (" with confirms" if HAS_CONFIRMS else "")
        + (f", {SENDERS} senders" if SENDERS > 1 else ""),
        [sys.executable, "-m", "dramatiq", "engine_peer_dramatiq", "--processes", "2", "--threads", "8"],
        send_many,
        send_one,
    )
