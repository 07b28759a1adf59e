"""`shell.command.run`: starts a program the configuration lists. No shell is involved: words stay words."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable

from legion_core.engine.extension import Context, function
from legion_core.kernel.errors import Denied, InvalidInput, LimitReached, NotFound

OUTPUT_BYTES_MAX = 256 * 1024
ARGUMENTS_MAX = 1_000
END_S = 2.0
_SECRET_NAME = re.compile(r"(?i)(token|key|secret|pass|credential|cookie|^LEGION_)")


class Commands:
    """The runner. `allow` gives the configured programs as they are now."""

    def __init__(self, allow: Callable[[], tuple[str, ...]]) -> None:
        self._allow = allow

    @function(timeout_s=3600.0)
    async def run(
        self, context: Context, argv: list[str], stdin: str = "", timeout_s: float = 60.0
    ) -> dict[str, object]:
        """Run a program to its end: `{exit_code, stdout, stderr}`.

        Args:
            context: the task's
            argv: the program and its arguments, one word each
            stdin: what it reads
            timeout_s: then it is ended
        """
        if not argv or len(argv) > ARGUMENTS_MAX or any("\0" in word for word in argv):
            raise InvalidInput(f"`argv` holds the program and up to {ARGUMENTS_MAX} words.")
        program = self._program(argv[0])
        context.log(f"starts {program}")
        process = await asyncio.create_subprocess_exec(
            program,
            *argv[1:],
            stdin=PIPE if stdin else DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            env={name: value for name, value in os.environ.items() if not _SECRET_NAME.search(name)},
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(timeout_s):
                stdout, stderr = await _exchange(process, stdin.encode())
        except BaseException:
            await _end(process)
            raise
        return {
            "exit_code": process.returncode,
            "stdout": stdout.decode("utf-8", "replace"),
            "stderr": stderr.decode("utf-8", "replace"),
        }

    def _program(self, word: str) -> str:
        """The file that will be started; Denied if neither it nor its name is listed."""
        found = shutil.which(word)
        # A word with a slash must be listed as it stands, or a listed name could be brought along in a folder.
        listed = {each.strip() for each in self._allow() if each.strip()}
        if word not in listed and not (found is not None and found in listed):
            raise Denied(
                f"Tasks may not run {word[:200]!r}.",
                hint='List the program to allow it: [engine.shell] allow = ["PROGRAM"].',
            )
        if found is None:
            raise NotFound(f"There is no program {word[:200]!r} on this computer.")
        return found


async def _exchange(process: Process, given: bytes) -> tuple[bytes, bytes]:
    assert process.stdout is not None
    assert process.stderr is not None

    async def feed() -> None:
        if process.stdin is not None:
            try:
                process.stdin.write(given)
                await process.stdin.drain()
                process.stdin.close()
            except OSError:  # it ended without reading
                return

    try:
        async with asyncio.TaskGroup() as group:
            out = group.create_task(_bounded(process.stdout))
            err = group.create_task(_bounded(process.stderr))
            group.create_task(feed())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    await process.wait()
    await _unheard(process)
    return out.result(), err.result()


async def _bounded(stream: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    size_bytes = 0
    while part := await stream.read(65_536):
        size_bytes += len(part)
        if size_bytes > OUTPUT_BYTES_MAX:
            raise LimitReached(
                f"The program says more than {OUTPUT_BYTES_MAX // 1024} kB, the most a task keeps."
            )
        parts.append(part)
    return b"".join(parts)


async def _end(process: Process) -> None:
    """End it and what it started, also where it is gone itself; bounded. Cancelled: the end at once.

    Up to Python 3.11.2 `asyncio.timeout` lets a task that was cancelled before, as ours may be, go on with
    CancelledError and not with TimeoutError: the second signal would not be sent.
    """
    try:
        _tell(process, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_gone(process), END_S)
    finally:
        _tell(process, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_gone(process), END_S)


def _tell(process: Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


async def _gone(process: Process) -> None:
    """Wait for the end. What it says is dropped: asyncio (3.11) never lets go of a pipe that holds something."""

    async def drop(stream: asyncio.StreamReader | None) -> None:
        while stream is not None and await stream.read(65_536):
            pass

    await asyncio.gather(process.wait(), drop(process.stdout), drop(process.stderr))
    await _unheard(process)


async def _unheard(process: Process) -> None:
    """It may have ended without reading: before 3.11.3 asyncio complains of that unless somebody hears it."""
    if process.stdin is not None:
        process.stdin.close()
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(asyncio.shield(process.stdin.wait_closed()), END_S)
