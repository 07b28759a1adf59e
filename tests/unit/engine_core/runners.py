"""Functions the tests run: each does one thing that can go well or badly, and remembers that it did."""

import asyncio
import threading
from typing import Any

from legion_core.engine.extension import Context, function
from legion_core.kernel.errors import InvalidInput, RateLimited
from legion_core.storage.sqlite import Connection, execute


class Box:
    """A runner with a memory."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.failures = 0
        self.gate = asyncio.Event()
        self.entered = asyncio.Event()
        self.thread_gate = threading.Event()
        self.thread_ended = threading.Event()

    @function(effect="pure")
    async def echo(self, value: Any = None) -> Any:
        """Gives back what it was given."""
        self.calls.append(value)
        return value

    @function(effect="pure")
    def add(self, a: int, b: int = 1) -> int:
        """In a thread."""
        self.calls.append(threading.current_thread().name)
        return a + b

    @function(retries=3, retry_delay_s=0.01, retry_delay_max_s=0.02)
    async def flaky(self, failures: int) -> int:
        """Fails so many times."""
        self.failures += 1
        if self.failures <= failures:
            raise RuntimeError(f"failure {self.failures}")
        return self.failures

    @function(retries=3, retry_delay_s=0.01)
    async def refuse(self) -> None:
        """An error that cannot get better."""
        self.calls.append("refuse")
        raise InvalidInput("This will never do.", hint="Ask differently.")

    @function(retries=1, retry_delay_s=0.001, retry_delay_max_s=0.05)
    async def limited(self) -> None:
        """The far end asks for a pause."""
        self.calls.append("limited")
        if len(self.calls) == 1:
            raise RateLimited("Slow down.", retry_after_s=0.04)

    @function(timeout_s=0.05)
    async def hang(self) -> None:
        """Never ends."""
        await asyncio.sleep(3600)

    @function(timeout_s=0.05)
    def hang_in_thread(self) -> None:
        """Ends when the gate opens, long after its time."""
        self.thread_gate.wait(10)
        self.thread_ended.set()

    @function()
    async def hold(self, context: Context) -> str:
        """Runs until the gate opens."""
        self.calls.append((context.task_id, context.attempt, context.is_redelivered))
        self.entered.set()
        await self.gate.wait()
        return "held"

    @function(effect="at_most_once")
    async def once(self) -> str:
        """Must not be repeated."""
        self.calls.append("once")
        self.entered.set()
        await self.gate.wait()
        return "once"

    @function()
    async def talk(self, context: Context, lines: int = 2) -> str:
        """Writes its log and gives its key."""
        for number in range(lines):
            context.log(f"line {number}", "warning" if number else "info")
        return context.key(1)

    @function()
    def talk_in_thread(self, context: Context) -> None:
        """The same from a thread."""
        context.log("from a thread with Bearer abcdefgh12345678")

    @function(effect="transactional")
    async def book(self, context: Context, fails: bool = False) -> None:
        """Writes with its completion."""

        def work(connection: Connection) -> None:
            execute(connection, "CREATE TABLE IF NOT EXISTS ext_box(n INTEGER)")
            execute(connection, "INSERT INTO ext_box VALUES(1)")
            if fails:
                raise ValueError("the write broke")

        context.defer(work)

    @function(effect="fenced_file")
    def lay_down(self, context: Context, path: str, text: str) -> bool:
        """Writes a file once."""
        return context.write_file(path, text.encode())

    @function(effect="pure")
    async def odd(self) -> object:
        """Not JSON."""
        return object()

    @function(effect="pure")
    async def huge(self) -> str:
        """Too much."""
        return "x" * (2 << 20)

    @function()
    def leave(self) -> None:
        """Tries to end the process."""
        raise SystemExit(3)
