"""The process a model lives in: `python -m legion_core.workers.child ENGINE`.

Frames come on stdin and go out on stdout, which no library can reach: the real one is duplicated and file descriptor
1 is pointed at stderr before anything native is loaded. The process ends when stdin closes, and on Linux also when its
parent is killed. It ends hard, without native destructors: there is nothing in it to save.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import BinaryIO, Final, NoReturn

from legion_core.kernel.clock import SystemClock
from legion_core.workers import frames
from legion_core.workers.engines.base import Engine, EngineError, has_chat_template

HOLD_S: Final = 0.004  # pieces closer together than this travel as one frame
QUEUED_MAX: Final = 16  # requests beyond the slots; the parent queues, so this is only a guard
EXIT_PROTOCOL: Final = 65  # EX_DATAERR: the parent said something that is not a frame
EXIT_USAGE: Final = 64
ENGINES: Final = ("xllamacpp", "llama-cpp-python", "mlx")


def _xllamacpp() -> Engine:
    from legion_core.workers.engines.xllamacpp import XllamacppEngine

    return XllamacppEngine()


def _llama_cpp_python() -> Engine:
    from legion_core.workers.engines.llama_cpp_python import LlamaCppPythonEngine

    return LlamaCppPythonEngine()


def _mlx() -> Engine:
    from legion_core.workers.engines.mlx import MlxEngine

    return MlxEngine()


_MAKERS: dict[str, Callable[[], Engine]] = {
    "xllamacpp": _xllamacpp,
    "llama-cpp-python": _llama_cpp_python,
    "mlx": _mlx,
}


def main(argv: list[str]) -> int:
    """Serve one engine until stdin closes; `argv` is the engine's name alone. Returns an exit status for bad usage."""
    if len(argv) != 1 or argv[0] not in _MAKERS:
        sys.stderr.write(f"usage: legion_core.workers.child ({' | '.join(ENGINES)})\n")
        return EXIT_USAGE
    stdin, stdout = take_stdio()
    die_with_parent()
    die_first_of_memory()
    return serve(_MAKERS[argv[0]](), stdin, stdout)


def take_stdio() -> tuple[BinaryIO, int]:
    """The real stdin as a buffered reader and the real stdout as a descriptor; 0 and 1 then lead nowhere and to stderr."""
    stdin = os.fdopen(os.dup(0), "rb", buffering=1 << 16)
    stdout = os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return stdin, stdout


def die_with_parent() -> None:
    """Ask Linux to kill us when the thread that started us ends; elsewhere the end of stdin has to do."""
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)


def die_first_of_memory() -> None:
    """Where memory runs out, Linux shall take the model and not the window; best effort."""
    if sys.platform == "linux":
        try:
            with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
                file.write("500")
        except OSError:
            sys.stderr.write("oom_score_adj could not be raised\n")


def end(status: int) -> NoReturn:
    """Leave at once: native threads may be in the middle of a token."""
    os._exit(status)


class Outlet:
    """The only writer of frames. A write blocks when the parent does not read, which holds the generation back."""

    def __init__(self, stdout: int) -> None:
        self._stdout = stdout
        self._lock = threading.Lock()

    def send(self, frame: frames.ToParent) -> None:
        """Write the whole frame; ends the process if the parent is gone."""
        data = memoryview(frames.encode(frame))
        with self._lock:
            try:
                while data:
                    data = data[os.write(self._stdout, data) :]
            except OSError:
                end(0)


class Pieces:
    """One answer's way out: the first piece at once, then those within `HOLD_S` of each other joined."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._clock = SystemClock()
        self._lock = threading.Lock()
        self._held: frames.Token | None = None
        self._sent_at_s = -1.0
        self._wake = threading.Event()
        self._is_over = False
        self._flusher: threading.Thread | None = None

    def put(self, piece: frames.Token | frames.ToolCallPart | frames.Progress) -> None:
        """Send the piece, or, if it is text, hold it for at most `HOLD_S`."""
        with self._lock:
            if not isinstance(piece, frames.Token):
                self._flush()
                self._outlet.send(piece)
                return
            held = self._held
            if held is not None and held.channel != piece.channel:
                self._flush()
                held = None
            if held is not None:
                piece = frames.Token(
                    id=piece.id,
                    text=held.text + piece.text,
                    count=held.count + piece.count,
                    channel=piece.channel,
                )
            self._held = piece
            if self._clock.monotonic_s() - self._sent_at_s >= HOLD_S:
                self._flush()
            else:
                self._wake_flusher()

    def close(self) -> None:
        """Send what is held; nothing may be put after."""
        with self._lock:
            self._flush()
            self._is_over = True
            self._wake.set()

    def _flush(self) -> None:
        if self._held is not None:
            self._outlet.send(self._held)
            self._held = None
            self._sent_at_s = self._clock.monotonic_s()

    def _wake_flusher(self) -> None:
        # Most engines are slower than one token in 4 ms, so most answers never need this thread.
        if self._flusher is None:
            self._flusher = threading.Thread(target=self._flush_late, name="flush", daemon=True)
            self._flusher.start()
        self._wake.set()

    def _flush_late(self) -> None:
        pause = threading.Event()
        while True:
            self._wake.wait()
            pause.wait(HOLD_S)
            with self._lock:
                self._wake.clear()
                self._flush()
                if self._is_over:
                    return


class Service:
    """Runs requests on threads, so that the reader is free for `Cancel` and `Ping`."""

    def __init__(self, engine: Engine, outlet: Outlet) -> None:
        self._engine = engine
        self._outlet = outlet
        self._clock = SystemClock()
        self._lock = threading.Lock()
        self._running: dict[int, threading.Event] = {}
        self._slots = threading.Semaphore(0)
        self._is_loaded = False
        self._is_embedding = False

    def take(self, frame: frames.ToChild) -> None:
        """Act on one frame; never blocks for long."""
        match frame:
            case frames.Load():
                self._thread("load", lambda: self._load(frame))
            case frames.Chat() | frames.Embed():
                self._begin(frame)
            case frames.Cancel():
                with self._lock:
                    if flag := self._running.get(frame.id):
                        flag.set()
            case frames.Ping():
                self._outlet.send(frames.Pong(id=frame.id))
            case frames.Stop():
                end(0)

    def _thread(self, name: str, work: Callable[[], None]) -> None:
        threading.Thread(target=work, name=name, daemon=True).start()

    def _load(self, load: frames.Load) -> None:
        begun_s = self._clock.monotonic_s()
        try:
            loaded = self._engine.load(load)
            template = has_chat_template(load.model_path)
        except ImportError as error:
            self._fail(
                frames.NO_REQUEST,
                EngineError("unsupported", f"{self._engine.name} is not installed: {error}"),
            )
            return
        except EngineError as error:
            self._fail(frames.NO_REQUEST, error)
            return
        except Exception as error:  # noqa: BLE001 - the wall: whatever the library raises becomes a frame
            self._fail(frames.NO_REQUEST, EngineError("load_failed", f"{type(error).__name__}: {error}"))
            return
        quiet_signals()
        self._is_embedding = load.is_embedding
        self._is_loaded = True
        for _ in range(loaded.slots):
            self._slots.release()
        self._outlet.send(
            frames.Ready(
                engine=self._engine.name,
                engine_version=loaded.version,
                context_tokens=loaded.context_tokens,
                has_chat_template=template,
                slots=loaded.slots,
                threads=loaded.threads,
                is_embedding=load.is_embedding,
                load_ms=(self._clock.monotonic_s() - begun_s) * 1000,
            )
        )

    def _begin(self, request: frames.Chat | frames.Embed) -> None:
        with self._lock:
            if not self._is_loaded:
                self._fail(request.id, EngineError("protocol", "No model is loaded yet."))
                return
            if self._is_embedding is isinstance(request, frames.Chat):
                given = "embeddings" if self._is_embedding else "chat"
                self._fail(request.id, EngineError("unsupported", f"The model was loaded for {given}."))
                return
            if len(self._running) >= QUEUED_MAX:
                self._fail(request.id, EngineError("overloaded", f"{QUEUED_MAX} requests are open already."))
                return
            if request.id in self._running:
                self._fail(request.id, EngineError("protocol", f"Request {request.id} is open already."))
                return
            flag = self._running[request.id] = threading.Event()
        self._thread(f"request {request.id}", lambda: self._run(request, flag))

    def _run(self, request: frames.Chat | frames.Embed, flag: threading.Event) -> None:
        pieces = Pieces(self._outlet)
        try:
            with self._slots:
                if flag.is_set():
                    last: frames.ToParent = frames.Done(id=request.id, stop_reason="cancelled")
                elif isinstance(request, frames.Chat):
                    last = self._engine.chat(request, pieces.put, flag.is_set)
                else:
                    last = self._engine.embed(request)
            pieces.close()
            self._outlet.send(last)
        except EngineError as error:
            pieces.close()
            self._fail(request.id, error)
        except Exception as error:  # noqa: BLE001 - the wall: one bad request must not end the others
            pieces.close()
            self._fail(request.id, EngineError("engine_failed", f"{type(error).__name__}: {error}"))
        finally:
            with self._lock:
                self._running.pop(request.id, None)

    def _fail(self, id_: int, error: EngineError) -> None:
        self._outlet.send(
            frames.Failed(
                id=id_, code=error.code, message=error.message[:2000], limit=error.limit, asked=error.asked
            )
        )


def quiet_signals() -> None:
    """Undo the handlers that native libraries install: Ctrl+C is the parent's business, terminate means now."""
    # Set through libc: Python's `signal` works in the main thread only, and that one is reading stdin.
    if sys.platform != "win32":
        import ctypes

        libc = ctypes.CDLL(None)
        libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
        libc.signal.restype = ctypes.c_void_p
        default, ignore = 0, 1
        libc.signal(int(signal.SIGTERM), default)
        libc.signal(int(signal.SIGINT), ignore)


def serve(engine: Engine, stdin: BinaryIO, stdout: int) -> NoReturn:
    """Read frames until the end, act on each; the process ends here."""
    service = Service(engine, Outlet(stdout))
    try:
        while len(head := stdin.read(frames.HEAD_BYTES)) == frames.HEAD_BYTES:
            service.take(frames.decode_to_child(stdin.read(frames.body_bytes(head))))
    except frames.FrameError as error:
        sys.stderr.write(f"{error}\n")
        end(EXIT_PROTOCOL)
    end(0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
