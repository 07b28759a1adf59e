"""A peer of `benchmarks.engine`: Taskiq on RabbitMQ, as it comes (publisher confirms, acknowledged when ended).

    PYTHON benchmarks/engine_peer_taskiq.py JOBS PROBES

Senders wait side by side on one loop, as many as ours. One worker process, no result backend (so it stores no end).
"""

import asyncio
import sys
from collections.abc import Callable
from importlib.metadata import version

from engine_peer_wire import AMQP_URL, NAME, Effect, time_peer
from taskiq_aio_pika import AioPikaBroker, Exchange, Queue

CALLERS = 200
broker = AioPikaBroker(AMQP_URL, exchange=Exchange(name=NAME)).with_queue(Queue(name=NAME))
effect = Effect()


@broker.task(task_name="bench.append")
async def append() -> None:
    """One byte."""
    effect()


def main() -> None:
    """The sender."""
    with asyncio.Runner() as runner:
        runner.run(broker.startup())

        async def send(count: int) -> None:
            left = iter(range(count))

            async def caller() -> None:
                for _ in left:
                    await append.kiq()

            await asyncio.gather(*(caller() for _ in range(min(count, CALLERS))))

        async def probe(wait: Callable[[], None]) -> None:
            sent = asyncio.ensure_future(append.kiq())
            await asyncio.to_thread(wait)
            await sent

        try:
            time_peer(
                f"taskiq {version('taskiq')}",
                [sys.executable, "-m", "taskiq", "worker", "engine_peer_taskiq:broker", "--workers", "1"],
                lambda count: runner.run(send(count)),
                lambda wait: runner.run(probe(wait)),
            )
        finally:
            runner.run(broker.shutdown())


if __name__ == "__main__":
    main()
