"""A server that is a program: started without a shell, with little of our environment, and bounded in what it may say.

The SDK's own transport (2.3) takes a line of any length and passes on noise; this one ends a server that does either.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from legion_core.agent.mcp.types import ServerSpec
from legion_core.kernel.errors import ConnectionLost, NotFound
from legion_core.kernel.supervise import Supervisor

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams
    from mcp_types import JSONRPCMessage

FRAME_BYTES_MAX = 4 << 20
NOISE_LINES_MAX = 200
ASKED_MAX = 100  # questions of the server that wait for it to take our answer
SAID_BYTES = 4_000
END_S = 2.0
# What a program needs to run at all; nothing of ours, and no name that smells of a secret, can be among it.
_PASSED = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
)
_PASSED_WINDOWS = (
    "PATH", "PATHEXT", "SYSTEMROOT", "SYSTEMDRIVE", "TEMP", "TMP", "USERPROFILE", "USERNAME", "APPDATA",
    "LOCALAPPDATA", "HOMEDRIVE", "HOMEPATH", "PROGRAMFILES", "PROGRAMDATA", "COMSPEC", "WINDIR",
)  # fmt: skip


class Ending:
    """How a connection ended, told once."""

    def __init__(self) -> None:
        self.is_over = asyncio.Event()
        self.problem = ""
        self.said = b""
        self.is_forgotten = False  # by the server, which then has begun nothing of what it was asked last

    def over(self, problem: str) -> None:
        """It ended; the first word counts."""
        if not self.is_over.is_set():
            self.problem = problem
            self.is_over.set()

    def forgotten(self) -> None:
        """The server knows the session no more: it was started anew, or it has forgotten it."""
        self.is_forgotten = True
        self.over("")


def child_environment(env: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """What the program gets: what any needs, and what the user wrote for this one (`own`, references resolved)."""
    names = _PASSED_WINDOWS if sys.platform == "win32" else _PASSED
    passed = {name: env[name] for name in names if name in env and not env[name].startswith("()")}
    return {**passed, **own}


def program_of(spec: ServerSpec, env: Mapping[str, str]) -> str:
    """The file that will be started; NotFound if there is none."""
    word = spec.command[0]
    # Not from the folder we were started in: somebody else may have filled it.
    places = env.get("PATH", os.defpath).split(os.pathsep)
    found = shutil.which(word, path=os.pathsep.join(place for place in places if Path(place).is_absolute()))
    if found is None or not Path(found).is_absolute():
        raise NotFound(
            f"{spec.name} cannot be started: there is no program {word!r}.",
            hint="Install it, or give its whole path.",
        )
    return found


@asynccontextmanager
async def piped(
    spec: ServerSpec, env: Mapping[str, str], supervisor: Supervisor, ending: Ending
) -> "AsyncGenerator[TransportStreams]":
    """Start the program and talk with it over its pipes; it is ended on leaving, with all it started."""
    import anyio
    from mcp.shared.message import SessionMessage
    from mcp_types import JSONRPCError, JSONRPCRequest, JSONRPCResponse

    unanswered = 0

    process = await _start(spec, env)
    told, heard = anyio.create_memory_object_stream["SessionMessage | Exception"](0)
    outgoing, to_send = anyio.create_memory_object_stream[SessionMessage](0)

    async def read() -> None:
        nonlocal unanswered
        assert process.stdout is not None
        noise = 0
        async with told:
            with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                while line := await _line(process.stdout, ending, spec.name):
                    message = _message(line)
                    if message is not None:
                        unanswered += isinstance(message, JSONRPCRequest)
                        if unanswered > ASKED_MAX:
                            ending.over(f"{spec.name} asks more than it takes answers to.")
                            return
                        await told.send(SessionMessage(message))
                    elif line.strip():
                        noise += 1
                        if noise > NOISE_LINES_MAX:
                            ending.over(f"{spec.name} writes what is no message of the protocol.")
                            return
        ending.over(f"{spec.name} ended.")

    async def write() -> None:
        nonlocal unanswered
        assert process.stdin is not None
        async with to_send:
            with contextlib.suppress(OSError):
                async for message in to_send:
                    text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                    process.stdin.write(text.encode() + b"\n")
                    await process.stdin.drain()
                    unanswered -= isinstance(message.message, JSONRPCResponse | JSONRPCError)
                return
        ending.over(f"{spec.name} takes nothing more.")

    tasks: list[asyncio.Task[None]] = []
    try:
        for word, work in (("read", read), ("write", write), ("said", partial(_said, process, ending))):
            # Refused where all is being stopped: the program is there already, and has to end then too.
            tasks.append(supervisor.spawn(f"mcp.{spec.name}.{word}", work()))
        yield heard, outgoing
    finally:
        with anyio.CancelScope(shield=True):
            outgoing.close()
            heard.close()
            try:
                await _end(process)
                with contextlib.suppress(TimeoutError):  # its last words; all who could write more are ended
                    await asyncio.wait_for(asyncio.gather(*tasks[2:], return_exceptions=True), END_S)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                told.close()
                to_send.close()


async def _start(spec: ServerSpec, env: Mapping[str, str]) -> Process:
    program = program_of(spec, env)
    try:
        return await asyncio.create_subprocess_exec(
            program,
            *spec.command[1:],
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=dict(env),
            cwd=spec.cwd or None,
            limit=FRAME_BYTES_MAX,
            start_new_session=sys.platform != "win32",
        )
    except (OSError, ValueError) as error:
        raise ConnectionLost(f"{spec.name} cannot be started: {error}.") from error


async def _line(stream: asyncio.StreamReader, ending: Ending, name: str) -> bytes:
    """The next line; empty at the end, and for one that is longer than the bound."""
    try:
        return await stream.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except (asyncio.LimitOverrunError, ValueError):
        ending.over(f"{name} sent a message larger than {FRAME_BYTES_MAX >> 20} MB.")
        return b""


def _message(line: bytes) -> "JSONRPCMessage | None":
    """A message of the protocol; None for anything else, which servers do print."""
    import mcp_types

    try:
        return mcp_types.jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValueError:
        return None


async def _said(process: Process, ending: Ending) -> None:
    """Keep the end of what it writes on standard error, and never let it block."""
    assert process.stderr is not None
    while chunk := await process.stderr.read(4096):
        ending.said = (ending.said + chunk)[-SAID_BYTES:]


async def _end(process: Process) -> None:
    """End of input, then a signal, then the end; to the whole group it may have started. Cancelled: the end at once.

    Up to Python 3.11.2 `asyncio.timeout` lets a task that was cancelled before, as ours may be, go on with
    CancelledError and not with TimeoutError: what comes after it would not be done.
    """
    if process.stdin is not None:
        with contextlib.suppress(OSError, RuntimeError):
            process.stdin.close()
    try:
        for end in (_terminate, _kill):
            try:
                await asyncio.wait_for(process.wait(), END_S)
            except TimeoutError:
                _group(process, end)
    finally:
        _group(process, _kill)  # what it started and left behind
        await _let_go(process)


async def _let_go(process: Process) -> None:
    """Let asyncio see that it ended, and close its pipes."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(_emptied(process), END_S)
    if process.stdin is not None:
        with contextlib.suppress(OSError, TimeoutError):
            # That it broke is nobody's news; before 3.11.3 asyncio complains of it unless somebody hears it.
            await asyncio.wait_for(asyncio.shield(process.stdin.wait_closed()), END_S)


async def _emptied(process: Process) -> None:
    await process.wait()
    assert process.stdout is not None
    # What was never read keeps the pipe open, and asyncio (3.11) then never lets go of it.
    while await _rest(process.stdout):
        pass


async def _rest(stream: asyncio.StreamReader) -> bytes:
    with contextlib.suppress(OSError, ValueError, RuntimeError):  # the last: its reader is at it still
        return await stream.read(1 << 16)
    return b""


def _group(process: Process, end: Callable[[Process], None]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        end(process)


def _terminate(process: Process) -> None:
    if sys.platform == "win32":
        process.terminate()
    else:
        os.killpg(process.pid, signal.SIGTERM)


def _kill(process: Process) -> None:
    if sys.platform == "win32":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)
