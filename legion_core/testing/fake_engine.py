"""A child process that plays a script instead of a model: `python -m legion_core.testing.fake_engine SCRIPT`.

SCRIPT is the path of a JSON `Script`. Frames, threads, stdio and cancellation are the real child's own code; only the
engine is acted. Each start of the process is the next of the script's lives (the last repeats), counted in a file
beside the script, so that "dies once, then works" can be told.
"""

import hashlib
import json
import math
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Literal

import msgspec

from legion_core.workers.child import die_with_parent, serve, take_stdio
from legion_core.workers.engines.base import Emit, EngineError, IsCancelled, Loaded, check_chat, forced_tool
from legion_core.workers.frames import (
    Chat,
    Done,
    Embed,
    Embedded,
    FailCode,
    Load,
    Progress,
    Token,
    ToolCallPart,
)

WORDS = ("one", " two", " three", " four", " five", " six", " seven", " eight", " nine", " ten")
EMBEDDING_WIDTH = 8

# A long answer takes its time, as a real one does: who kills or cancels it must find it unfinished.
BREATH_TOKENS = 32
TOKEN_S = 0.005


class Turn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One answer. Positions are token indexes, from 0; what happens at one happens before that token is sent.

    `gate` is a named pipe: the turn reads one byte from it before each token, so a test decides when time passes.
    """

    tokens: tuple[str, ...] | None = None  # None: counts aloud, as many words as asked, at most a thousand
    gate: str = ""
    die_at: int | None = None
    die_by: Literal["SIGKILL", "SIGSEGV", "SIGABRT", "exit 3"] = "SIGKILL"
    stall_at: int | None = None  # sends nothing more until it is cancelled
    is_deaf: bool = False  # a stall that no cancel ends
    garbage_at: int | None = None
    fail_at: int | None = None
    fail_code: FailCode = "engine_failed"


class Life(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run of the process: how its load goes, and what it answers, in order; the last turn repeats."""

    load: Literal["ready", "refuse", "die", "hang", "print"] = "ready"
    slots: int = 1
    context_tokens: int = 4096
    turns: tuple[Turn, ...] = (Turn(),)
    stderr: str = ""  # written before the load


class Script(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the process does in each of its lives."""

    lives: tuple[Life, ...] = (Life(),)


def write_script(path: Path, script: Script) -> Path:
    """Store a script where `fake_engine` can read it, with no life lived yet."""
    path.write_bytes(msgspec.json.encode(script))
    _count(path).unlink(missing_ok=True)
    return path


def _count(path: Path) -> Path:
    return path.with_suffix(".lives")


def next_life(path: Path) -> Life:
    """The life to live now; counts it."""
    script = msgspec.json.decode(path.read_bytes(), type=Script)
    count = _count(path)
    lived = int(count.read_text(encoding="ascii")) if count.exists() else 0
    count.write_text(str(lived + 1), encoding="ascii")
    return script.lives[min(lived, len(script.lives) - 1)]


class FakeEngine:
    """See `workers.engines.base.Engine`."""

    name = "fake"

    def __init__(self, life: Life, stdout: int) -> None:
        self._life = life
        self._stdout = stdout
        self._turn = 0
        self._lock = threading.Lock()

    def load(self, load: Load) -> Loaded:
        """As the life says."""
        match self._life.load:
            case "refuse":
                raise EngineError("load_failed", "The script refuses the file.")
            case "die":
                _die(signal.SIGSEGV)
            case "hang":
                threading.Event().wait()
            case "print":
                # What a chatty library would do; it must not reach the frames.
                os.write(1, b"loading tensors ...\n")
                sys.stdout.write("loaded\n")
            case "ready":
                pass
        context = load.context_tokens or self._life.context_tokens
        return Loaded(version="1", context_tokens=context, slots=self._life.slots, threads=1)

    def chat(self, chat: Chat, emit: Emit, is_cancelled: IsCancelled) -> Done:
        """Play the next turn."""
        check_chat(chat)
        with self._lock:
            turns = self._life.turns
            turn = turns[min(self._turn, len(turns) - 1)]
            self._turn += 1
        tokens = self._tokens(chat, turn)
        prompt = sum(len(message.content.split()) for message in chat.messages)
        if prompt > self._life.context_tokens:
            raise EngineError("context_too_long", "Too long.", limit=self._life.context_tokens, asked=prompt)
        if forced := forced_tool(chat):
            name, arguments = forced.name or chat.tools[0].name, '{"city": "Paris", "n": 1}'
            emit(ToolCallPart(id=chat.id, index=0, call_id="call_0", name=name, arguments=arguments))
            return Done(id=chat.id, stop_reason="tool_calls", prompt_tokens=prompt, output_tokens=1)
        gate = os.open(turn.gate, os.O_RDONLY) if turn.gate else None
        pace = threading.Event()
        for at, token in enumerate(tokens):
            if gate is not None:
                os.read(gate, 1)
            if turn.tokens is None and at >= BREATH_TOKENS:
                pace.wait(TOKEN_S)
            if is_cancelled():
                return Done(id=chat.id, stop_reason="cancelled", prompt_tokens=prompt, output_tokens=at)
            if at in (turn.die_at, turn.garbage_at, turn.stall_at, turn.fail_at):
                # Sends what is held back to be joined, so that exactly `at` tokens have left.
                emit(Progress(id=chat.id, tokens_done=prompt, tokens_total=prompt))
            if self._act(turn, at, is_cancelled):
                return Done(id=chat.id, stop_reason="cancelled", prompt_tokens=prompt, output_tokens=at)
            emit(Token(id=chat.id, text=token))
        wanted = chat.params.output_tokens_max
        is_cut = wanted is not None and len(tokens) >= wanted
        return Done(
            id=chat.id,
            stop_reason="length" if is_cut else "stop",
            prompt_tokens=prompt,
            output_tokens=len(tokens),
        )

    def _tokens(self, chat: Chat, turn: Turn) -> tuple[str, ...]:
        wanted = chat.params.output_tokens_max
        if chat.json_schema:
            return ('{"city"', ': "Paris"', ', "n": 1}')
        if turn.tokens is not None:
            return turn.tokens if wanted is None else turn.tokens[:wanted]
        begun = len(chat.messages[-1].content.split()) if chat.continue_final else 0
        size = min(1000 if wanted is None else wanted, 1000)
        return tuple(WORDS[at % len(WORDS)] for at in range(begun, begun + size))

    def _act(self, turn: Turn, at: int, is_cancelled: IsCancelled) -> bool:
        """What befalls this token; True where a stall was cancelled."""
        if at == turn.die_at:
            if turn.die_by == "exit 3":
                os._exit(3)
            _die(signal.Signals[turn.die_by])
        if at == turn.garbage_at:
            os.write(self._stdout, b"Segmentation fault (core dumped)\n")
        if at == turn.fail_at:
            raise EngineError(turn.fail_code, "The script fails here.")
        if at == turn.stall_at:
            pause = threading.Event()
            while turn.is_deaf or not is_cancelled():
                pause.wait(0.01)
            return True
        return False

    def embed(self, embed: Embed) -> Embedded:
        """Unit vectors drawn from a hash of the text: equal texts are equal, others are not."""
        if not embed.texts or not all(embed.texts):
            raise EngineError("invalid_input", "An empty text cannot be embedded.")
        return Embedded(id=embed.id, vectors=tuple(_vector(text) for text in embed.texts), prompt_tokens=1)


def _die(by: signal.Signals) -> None:
    os.kill(os.getpid(), by)
    # The signal may go to another thread: this one must not get any further meanwhile.
    threading.Event().wait()


def _vector(text: str) -> tuple[float, ...]:
    digest = hashlib.sha256(text.encode()).digest()[:EMBEDDING_WIDTH]
    raw = [byte - 127.5 for byte in digest]
    length = math.sqrt(sum(value * value for value in raw))
    return tuple(value / length for value in raw)


def main(argv: list[str]) -> int:
    """Play the script named in `argv`."""
    if len(argv) != 1:
        sys.stderr.write("usage: legion_core.testing.fake_engine SCRIPT\n")
        return 64
    try:
        life = next_life(Path(argv[0]))
    except (OSError, msgspec.MsgspecError, json.JSONDecodeError) as error:
        sys.stderr.write(f"{error}\n")
        return 65
    stdin, stdout = take_stdio()
    die_with_parent()
    if life.stderr:
        sys.stderr.write(life.stderr)
        sys.stderr.flush()
    return serve(FakeEngine(life, stdout), stdin, stdout)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
