"""Processes for functions that keep a processor busy: the loop stays free, and a call can be killed at its time-out.

A child is started at the first call, serves one call at a time and is kept for the next. Requests and answers are
lines of JSON over its standard input and output.
"""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from legion_core.engine.extension import Context
from legion_core.engine.registry import Function
from legion_core.kernel.errors import LegionError, LimitReached
from legion_core.workers.process import child_environment

LINE_BYTES_MAX = 4 << 20
END_S = 2.0
LogLevel = Literal["debug", "info", "warning", "error"]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a child is asked to call: `function` of `module`, found in `folder` if it is a drop-in extension."""

    extension: str
    folder: str
    module: str
    function: str
    args: msgspec.Raw
    task_id: str
    attempt: int
    is_redelivered: bool


class Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line from a child: something for the log, or with `is_last` the outcome."""

    is_last: bool = False
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: str = ""
    level: LogLevel = "info"
    text: str = ""


class CrashedInChild(LegionError):
    """The function raised in its process, or the process died."""

    retry = "here"
    blame = "caller"
    public_code = "task_raised"


def child_command() -> tuple[str, ...]:
    """The argv of a child; a frozen bundle has no `-m`, so it is asked through its own command line."""
    if getattr(sys, "frozen", False):
        return (sys.executable, "worker", "--calls")
    return (sys.executable, "-m", "legion_core.engine.cpu_child")


class CpuPool:
    """At most `size` children; each call has one to itself. Callers bound their number (see the service)."""

    def __init__(self, size: int = 0, command: Callable[[], tuple[str, ...]] = child_command) -> None:
        self.size = size or max(1, os.cpu_count() or 1)
        self._command = command
        self._idle: deque[Process] = deque()
        self._busy: set[Process] = set()
        self._is_closed = False

    async def run(self, function: Function, args: bytes, context: Context) -> msgspec.Raw:
        """The result of one call, as JSON. Given up or timed out, the child is killed."""
        if len(args) > LINE_BYTES_MAX // 2:
            raise LimitReached(f"Arguments of {len(args):,} bytes are too large for another process.")
        child = await self._take()
        is_clean = False
        try:
            order = Order(
                extension=function.name.partition(".")[0],
                folder=str(function.folder or ""),
                module=function.call.__module__,
                function=function.call.__name__,
                args=msgspec.Raw(args),
                task_id=context.task_id,
                attempt=context.attempt,
                is_redelivered=context.is_redelivered,
            )
            said = await self._ask(child, order, context)
            is_clean = True
        finally:
            self._busy.discard(child)
            if is_clean and not self._is_closed:
                self._idle.append(child)
            else:
                _kill(child)
        if said.error:
            raise CrashedInChild(said.error)
        return said.result

    async def _take(self) -> Process:
        while self._idle:
            child = self._idle.popleft()
            if child.returncode is None:
                self._busy.add(child)
                return child
        child = await asyncio.create_subprocess_exec(
            *self._command(),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            limit=LINE_BYTES_MAX,
            env=_environment(),
        )
        self._busy.add(child)
        return child

    async def _ask(self, child: Process, order: Order, context: Context) -> Said:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(msgspec.json.encode(order) + b"\n")
            await child.stdin.drain()
            while line := await child.stdout.readline():
                said = msgspec.json.decode(line, type=Said)
                if said.is_last:
                    return said
                context.log(said.text, said.level)
        except (OSError, ValueError, msgspec.DecodeError) as error:
            raise CrashedInChild(f"The process of the function failed: {error}.") from error
        code = await child.wait()
        raise CrashedInChild(f"The process of the function ended with {code}.")

    async def close(self) -> None:
        """End all children; bounded."""
        self._is_closed = True
        children = [*self._idle, *self._busy]
        self._idle.clear()
        for child in children:
            _kill(child)
        for child in children:
            try:
                await asyncio.wait_for(child.wait(), END_S)
            except TimeoutError:
                continue


def _kill(child: Process) -> None:
    if child.returncode is None:
        try:
            child.kill()
        except ProcessLookupError:
            return
    # Its pipes are closed by themselves, as another process may hold their other ends. To close the transport as a whole
    # would also ask for the child's end, which somebody else waits for already.
    transport: Any = getattr(child, "_transport", None)
    for number in (0, 1):
        pipe = transport.get_pipe_transport(number) if transport is not None else None
        if pipe is not None:
            pipe.close()


def _environment() -> dict[str, str]:
    """Ours without secrets: what runs there is somebody's extension. Where the home is, it has to know."""
    home = os.environ.get("LEGION_HOME")
    return child_environment() | ({"LEGION_HOME": home} if home else {})
