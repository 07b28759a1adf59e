"""One life of one child process: spawn it, talk to it, notice its death, end it. `supervisor` decides when."""

import asyncio
import contextlib
import os
import re
import signal
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Callable

from legion_core.kernel.errors import Bug, ConnectionLost, LimitReached, Malformed, TimedOut, WorkerDied
from legion_core.kernel.faults import fault
from legion_core.kernel.redact import redact
from legion_core.kernel.supervise import Supervisor
from legion_core.workers import frames

QUEUED_PIECES_MAX = 64  # a slow reader's pieces are joined beyond this, so its queue stays short
LAST_WORDS_CHARS = 300
EXIT_WAIT_S = 5.0  # from the end of its stdout to its exit status
WRITE_S = 30.0  # for a request to fit into its pipe; a stopped process never reads
STDERR_WAIT_S = 0.5  # for its last words

_SECRET_NAME = re.compile(r"(?i)(token|key|secret|pass|credential|cookie|^LEGION_)")

Terminal = frames.Done | frames.Embedded | frames.Failed | WorkerDied
Piece = frames.Token | frames.ToolCallPart | frames.Progress


def child_environment() -> dict[str, str]:
    """Our environment without anything that looks like a secret: native code and strangers' models need none."""
    kept = {name: value for name, value in os.environ.items() if not _SECRET_NAME.search(name)}
    # A native crash then leaves its Python stack in the stderr tail.
    return kept | {"PYTHONFAULTHANDLER": "1"}


def exit_words(code: int | None) -> str:
    """How a process ended, for a person: `killed by SIGSEGV, a crash in native code`."""
    if code is None:
        return "ended in an unknown way"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return f"was killed by signal {-code}"
    why = {
        "SIGSEGV": ", a crash in native code",
        "SIGBUS": ", a crash in native code",
        "SIGILL": ", an instruction this processor lacks",
        "SIGABRT": ", a failed check in native code",
        "SIGKILL": ", from outside: often the system had run out of memory",
    }.get(name, "")
    return f"was killed by {name}{why}"


class Flight:
    """One request under way: pieces, then one terminal."""

    def __init__(self, id_: int, on_over: Callable[[], None]) -> None:
        self.id = id_
        self.is_over = False
        self._on_over = on_over
        self._pieces: deque[Piece] = deque()
        self._terminal: Terminal | None = None
        self._wake = asyncio.Event()
        self.watchdog: asyncio.TimerHandle | None = None

    def push(self, piece: Piece) -> None:
        """Queue a piece; text is joined to the text before it once the reader lags."""
        last = self._pieces[-1] if self._pieces else None
        if isinstance(last, frames.Progress):
            self._pieces.pop()
        elif (
            len(self._pieces) >= QUEUED_PIECES_MAX
            and isinstance(piece, frames.Token)
            and isinstance(last, frames.Token)
            and last.channel == piece.channel
        ):
            self._pieces.pop()
            piece = frames.Token(
                id=piece.id,
                text=last.text + piece.text,
                count=last.count + piece.count,
                channel=piece.channel,
            )
        self._pieces.append(piece)
        self._wake.set()

    def finish(self, terminal: Terminal) -> None:
        """The end, once; later ones are ignored."""
        if self.is_over:
            return
        self.is_over = True
        self._terminal = terminal
        if self.watchdog is not None:
            self.watchdog.cancel()
        self._wake.set()
        self._on_over()

    async def next(self, silence_s: float) -> Piece | Terminal:
        """The next piece, or the terminal once no piece is left; raises TimeoutError after `silence_s`."""
        while True:
            if self._pieces:
                return self._pieces.popleft()
            if self._terminal is not None:
                return self._terminal
            self._wake.clear()
            async with asyncio.timeout(silence_s):
                await self._wake.wait()


class ChildProcess:
    """A running child. `on_death` is called once, after every flight was finished with WorkerDied."""

    def __init__(
        self,
        process: Process,
        supervisor: Supervisor,
        name: str,
        stderr_bytes: int,
        on_death: Callable[["ChildProcess"], None],
    ) -> None:
        self._process = process
        self._name = name
        self._stderr_bytes = stderr_bytes
        self._stderr = bytearray()
        self._on_death = on_death
        self._flights: dict[int, Flight] = {}
        self._pings: dict[int, asyncio.Event] = {}
        self._next_id = 0
        self._fault = ""  # why we ended it, if we did
        self._loaded: asyncio.Future[frames.Ready | frames.Failed | WorkerDied] = (
            asyncio.get_running_loop().create_future()
        )
        self._dead = asyncio.Event()
        self.is_stopping = False
        self.exit_code: int | None = None
        self._stderr_task = supervisor.spawn(f"{name}: stderr", self._keep_stderr())
        supervisor.spawn(f"{name}: frames", self._read())

    @classmethod
    async def spawn(
        cls,
        command: tuple[str, ...],
        environment: dict[str, str],
        supervisor: Supervisor,
        name: str,
        stderr_bytes: int,
        on_death: Callable[["ChildProcess"], None],
    ) -> "ChildProcess":
        """Start the program; raises WorkerDied if the system will not."""
        try:
            fault("workers.spawn")
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                env=environment,
                start_new_session=True,  # Ctrl+C in a terminal is for us; we end the child in order
            )
        except (OSError, ValueError) as error:
            raise WorkerDied(
                f"The process for {name} could not be started: {error}.",
                hint="Check that the engine is installed and that memory is left.",
            ) from error
        try:
            return cls(process, supervisor, name, stderr_bytes, on_death)
        except LimitReached as error:
            process.kill()
            raise WorkerDied(f"The process for {name} was ended: the engine is stopping.") from error

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether its frames are still being read."""
        return not self._dead.is_set() and not self.is_stopping

    @property
    def open_requests(self) -> int:
        """Flights that have not ended."""
        return len(self._flights)

    @property
    def stderr_tail(self) -> str:
        """The last of its stderr, secrets masked."""
        return redact(self._stderr.decode(errors="replace"))

    async def load(self, load: frames.Load, timeout_s: float) -> frames.Ready | frames.Failed:
        """Send `Load` and wait for its answer; raises WorkerDied or TimedOut."""
        try:
            await self._write(load)
        except frames.FrameError as error:
            raise Malformed(f"{self._name} cannot be loaded: {error}") from error
        try:
            async with asyncio.timeout(timeout_s):
                answer = await asyncio.shield(self._loaded)
        except TimeoutError:
            raise TimedOut(
                f"{self._name} was not loaded within {timeout_s:g} s.",
                hint="A slow disk or a model too large for the memory does this; try a smaller one.",
            ) from None
        if isinstance(answer, WorkerDied):
            raise answer
        return answer

    async def begin(
        self, make: Callable[[int], frames.Chat | frames.Embed], on_over: Callable[[], None]
    ) -> Flight:
        """Send a request; its answer comes through the flight. `on_over` is called once, when the child is done with it."""
        self._next_id += 1
        flight = Flight(self._next_id, on_over)
        self._flights[flight.id] = flight
        if self._dead.is_set():
            self._finish(flight.id, self._death())
            return flight
        try:
            await self._write(make(flight.id))
        except frames.FrameError as error:
            message = f"The request cannot be sent to the worker: {error}"
            self._finish(flight.id, frames.Failed(id=flight.id, code="invalid_input", message=message))
        except BaseException:
            # The caller never sees this flight, so its end is nobody's business: `on_over` stays uncalled.
            self._flights.pop(flight.id, None)
            flight.is_over = True
            self._cancel(flight)
            raise
        return flight

    def abandon(self, flight: Flight, cancel_s: float) -> None:
        """Nobody listens any more: tell the child to stop, and end it if it has not within `cancel_s`."""
        if flight.is_over:
            return
        self._cancel(flight)
        flight.watchdog = asyncio.get_running_loop().call_later(cancel_s, self._give_up, flight)

    def _cancel(self, flight: Flight) -> None:
        stdin = self._process.stdin
        if stdin is not None and not stdin.is_closing():
            stdin.write(frames.encode(frames.Cancel(id=flight.id)))

    def _give_up(self, flight: Flight) -> None:
        if not flight.is_over:
            self.kill("it did not stop an answer when told to")

    async def ping(self, timeout_s: float) -> None:
        """Wait for the child to answer; raises WorkerDied or TimedOut."""
        self._next_id += 1
        id_ = self._next_id
        answered = self._pings[id_] = asyncio.Event()
        try:
            await self._write(frames.Ping(id=id_))
            async with asyncio.timeout(timeout_s):
                await answered.wait()
        except TimeoutError:
            raise TimedOut(f"{self._name} did not answer within {timeout_s:g} s.") from None
        finally:
            self._pings.pop(id_, None)
        if self._dead.is_set():
            raise self._death()

    def kill(self, why: str) -> None:
        """End it now; `why` goes into the error of every open request."""
        self._fault = self._fault or why
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def stop(self, deadline_s: float) -> None:
        """End of file, then terminate, then kill, each with `deadline_s`."""
        self.is_stopping = True
        self._fault = self._fault or "it was stopped"
        if self._process.stdin is not None:
            self._process.stdin.close()
        for step in (None, self._process.terminate, self._process.kill):
            if step is not None:
                with contextlib.suppress(ProcessLookupError):
                    step()
            try:
                await asyncio.wait_for(self._dead.wait(), deadline_s)
            except TimeoutError:
                continue
            return

    async def _write(self, frame: frames.ToChild) -> None:
        data = frames.encode(frame)
        stdin = self._process.stdin
        if stdin is None:
            raise Bug("The child was started without a pipe to its stdin.")
        try:
            stdin.write(data)
            async with asyncio.timeout(WRITE_S):
                await stdin.drain()
        except TimeoutError:
            self.kill(f"it read nothing for {WRITE_S:g} s")
            await self._dead.wait()
        except (ConnectionError, RuntimeError):
            # It is gone; its reader will say how in a moment.
            await self._dead.wait()

    async def _read(self) -> None:
        stdout = self._process.stdout
        if stdout is None:
            raise Bug("The child was started without a pipe from its stdout.")
        try:
            while True:
                head = await stdout.readexactly(frames.HEAD_BYTES)
                body = await stdout.readexactly(frames.body_bytes(head))
                fault("workers.frame")
                self._take(frames.decode_to_parent(body))
        except asyncio.IncompleteReadError as error:
            if error.partial and not self._fault:
                self._fault = "it stopped in the middle of a frame"
        except (frames.FrameError, ConnectionLost, OSError) as error:
            self.kill(f"what it sent is not a frame ({error})")
        except asyncio.CancelledError:
            self.kill("the engine is stopping")
            raise
        finally:
            await self._reap()

    def _take(self, frame: frames.ToParent) -> None:
        match frame:
            case frames.Token() | frames.ToolCallPart() | frames.Progress():
                if flight := self._flights.get(frame.id):
                    flight.push(frame)
            case frames.Done() | frames.Embedded():
                self._finish(frame.id, frame)
            case frames.Failed(id=frames.NO_REQUEST) | frames.Ready():
                if not self._loaded.done():
                    self._loaded.set_result(frame)
            case frames.Failed():
                self._finish(frame.id, frame)
            case frames.Pong():
                if answered := self._pings.get(frame.id):
                    answered.set()
            case frames.Log():
                self._keep(f"[{frame.level}] {frame.text}\n".encode())

    def _finish(self, id_: int, terminal: Terminal) -> None:
        if flight := self._flights.pop(id_, None):
            flight.finish(terminal)

    async def _reap(self) -> None:
        """Learn the exit status and tell everyone; runs also when the reader is cancelled, so it is bounded."""
        waited = False
        try:
            await asyncio.wait_for(self._process.wait(), EXIT_WAIT_S)
            waited = True
            await asyncio.wait_for(asyncio.shield(self._stderr_task), STDERR_WAIT_S)
        except TimeoutError:
            if not waited:
                self.kill("it closed its output and stayed")
        finally:
            self.exit_code = self._process.returncode if waited else None
            await self._close_stdin()
            self._dead.set()
            for id_ in list(self._flights):
                self._finish(id_, self._death())
            for answered in self._pings.values():
                answered.set()
            if not self._loaded.done():
                self._loaded.set_result(self._death())
            self._on_death(self)

    async def _close_stdin(self) -> None:
        """Close the pipe and hear how that went: Debian's Python 3.11.2 logs a broken one that nobody asked about."""
        if (stdin := self._process.stdin) is not None:
            stdin.close()
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(stdin.wait_closed(), STDERR_WAIT_S)

    def _death(self) -> WorkerDied:
        how = f"was ended: {self._fault}" if self._fault else exit_words(self.exit_code)
        words = "" if self.is_stopping else self._last_words()
        return WorkerDied(
            f"The process running {self._name} {how}.{words}",
            hint="The next question starts it again.",
            exit_code=self.exit_code,
        )

    def _last_words(self) -> str:
        lines = [line.strip() for line in self.stderr_tail.splitlines() if line.strip()]
        telling = [line for line in lines if "error" in line.lower() or "fatal" in line.lower()]
        line = (telling or [""])[-1][:LAST_WORDS_CHARS]
        return f" It last wrote: {line!r}" if line else ""

    async def _keep_stderr(self) -> None:
        if self._process.stderr is not None:
            while piece := await self._process.stderr.read(4096):
                self._keep(piece)

    def _keep(self, piece: bytes) -> None:
        self._stderr += piece
        del self._stderr[: -self._stderr_bytes]
