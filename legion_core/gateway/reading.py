"""Pure bookkeeping of one answer read from many attempts: what the client has, and what it lacks of an attempt's chunks.

Text goes out as it comes. Tool calls are kept back until the answer has ended, with all that follows them: so a call is
whole or absent, and one that was begun by a model that died is simply made again by the next. Thinking is not continued
by anyone: a model that thinks the same once more is not heard twice, and one that thinks otherwise begins a block anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from legion_core.gateway.splice import Splice
from legion_core.gateway.types import Chunk, Finished, TextDelta, ThinkingDelta, ToolCallDelta
from legion_core.kernel.errors import Malformed

CHARS_PER_TOKEN: Final = 4
KEPT_CHARS_MAX: Final = 16 * 1024 * 1024  # of tool calls and what follows them
Ready = TextDelta | ThinkingDelta | ToolCallDelta


def tokens_of(chunk: TextDelta | ThinkingDelta) -> int:
    """The chunk's tokens: as counted by the provider, else one for a short piece, for a piece is mostly a token."""
    counted = chunk.tokens if isinstance(chunk, TextDelta) else 0
    return counted or max(1, len(chunk.text) // CHARS_PER_TOKEN)


def as_one(texts: Sequence[str]) -> TextDelta:
    """Pieces of text for somebody who is told the whole answer; it counts as many tokens as they do."""
    tokens = len(texts)
    if max(map(len, texts), default=0) >= 2 * CHARS_PER_TOKEN:
        tokens = sum(len(text) // CHARS_PER_TOKEN or 1 for text in texts)
    return TextDelta(text="".join(texts), tokens=tokens)


def joined(chunks: Sequence[Chunk]) -> Sequence[Chunk]:
    """The same chunks with neighbouring texts as one, which counts as many tokens: for an answer that is told whole."""
    out: list[Chunk] = []
    texts: list[str] = []
    tokens = 0
    for chunk in chunks:
        if isinstance(chunk, TextDelta):
            texts.append(chunk.text)
            tokens += chunk.tokens or max(1, len(chunk.text) // CHARS_PER_TOKEN)
            continue
        if texts:
            out.append(TextDelta(text="".join(texts), tokens=tokens))
            texts, tokens = [], 0
        out.append(chunk)
    if texts:
        out.append(TextDelta(text="".join(texts), tokens=tokens))
    return out


class Given:
    """What the client has been given of an answer so far."""

    __slots__ = ("calls", "chars", "is_signed", "pieces", "thoughts", "tokens")

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.thoughts: list[str] = []
        self.chars = 0
        self.tokens = 0
        self.is_signed = False  # the thinking is whole and has its signature
        self.calls: list[ToolCallDelta] = []  # each whole

    @property
    def has_calls(self) -> bool:
        """Whether a tool was called."""
        return bool(self.calls)

    @property
    def text(self) -> str:
        """All text."""
        return "".join(self.pieces)

    @property
    def thinking(self) -> str:
        """The thinking of the block that is open or was the last."""
        return "".join(self.thoughts)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was given that a client could see."""
        return not (self.chars or self.thoughts or self.has_calls)

    def take(self, chunk: Ready) -> None:
        """Count a chunk that is about to go out."""
        match chunk:
            case TextDelta():
                text = chunk.text
                self.pieces.append(text)
                self.chars += len(text)
                self.tokens += chunk.tokens or max(1, len(text) // CHARS_PER_TOKEN)
            case ThinkingDelta():
                if chunk.text:
                    self.thoughts.append(chunk.text)
                    self.tokens += tokens_of(chunk)
                self.is_signed = self.is_signed or bool(chunk.signature)
            case ToolCallDelta():
                self.calls.append(chunk)

    def think_anew(self) -> None:
        """The next thinking begins a block of its own."""
        self.thoughts.clear()
        self.is_signed = False


@dataclass(slots=True)
class _Call:
    """A tool call as far as it has come."""

    index: int
    id: str
    name: str
    arguments: list[str] = field(default_factory=list[str])

    def whole(self, ids: set[str]) -> ToolCallDelta:
        """The call under an id that is not among `ids`: its result must find it. Malformed where nobody could run it."""
        if not self.name:
            raise Malformed("The model called a tool without naming it.")
        name = self.id if self.id not in ids else f"{self.id}_{self.index}"
        ids.add(name)
        return ToolCallDelta(index=self.index, id=name, name=self.name, arguments="".join(self.arguments))


class Reading:
    """One attempt's chunks; `take` each, `Finished` the last. `tokens` counts what it made, given or not."""

    def __init__(self, given: Given, splice: Splice | None = None) -> None:
        self._splice = splice
        self._is_going_on = given.chars > 0
        self._known = "" if self._is_going_on else given.thinking  # thinking that the client has already
        self._known_at = 0
        self._is_signed = given.is_signed
        self._kept: list[TextDelta | ThinkingDelta | _Call] | None = None
        self._kept_chars = 0
        self._calls: dict[int, _Call] = {}
        self._is_plain = splice is None  # text goes out as it comes
        self.tokens = 0
        self.finished: Finished | None = None
        self.thinks_anew = False  # what comes next is no continuation of the thinking that was given

    def passes(self, chunk: TextDelta, given: Given) -> bool:
        """Whether text goes out as it came; it is then counted, as made and as given. Else `take` says what goes out."""
        if self._kept is not None or not self._is_plain or self._known_at:
            return False
        text = chunk.text
        chars = len(text)
        tokens = chunk.tokens or chars // CHARS_PER_TOKEN or 1
        self.tokens += tokens
        given.pieces.append(text)
        given.chars += chars
        given.tokens += tokens
        return True

    def take(self, chunk: Chunk) -> Sequence[Ready]:
        """What of this chunk goes out now, in order."""
        match chunk:
            case TextDelta():
                self.tokens += chunk.tokens or max(1, len(chunk.text) // CHARS_PER_TOKEN)
                if self._kept is not None:
                    return self._keep(chunk)
                # Nearly always: nothing was kept, is spliced or was thought once more.
                return (chunk,) if self._is_plain and not self._known_at else self._text(chunk)
            case Finished():
                self.finished = chunk
                return self._rest()
            case ThinkingDelta():
                if chunk.text:
                    self.tokens += tokens_of(chunk)
                return self._keep(chunk) if self._kept is not None else self._thinking(chunk)
            case ToolCallDelta():
                return self._call(chunk)

    def _rest(self) -> Sequence[Ready]:
        """The attempt ended well: what was kept back until now, in order."""
        out: list[Ready] = [] if self._kept is not None else [*self._before_calls()]
        ids: set[str] = set()
        out.extend(each.whole(ids) if isinstance(each, _Call) else each for each in self._kept or ())
        self._kept = []
        return out

    def _text(self, chunk: TextDelta) -> Sequence[Ready]:
        if self._splice is not None:
            new = self._splice.feed(chunk.text)
            return (TextDelta(text=new),) if new else ()
        if self._known_at:
            return (*self._shorter(), chunk)
        return (chunk,)

    def _thinking(self, chunk: ThinkingDelta) -> Sequence[Ready]:
        if self._is_going_on:
            return ()  # the answer's text has begun: what led to it is over
        left = len(self._known) - self._known_at
        if not left:
            is_told = bool(chunk.signature) and self._is_signed and bool(self._known)
            return () if is_told and not chunk.text else (chunk,)
        if chunk.text and self._known.startswith(chunk.text, self._known_at) and not chunk.signature:
            self._known_at += len(chunk.text)
            return ()
        if len(chunk.text) >= left and self._known.endswith(chunk.text[:left]):
            self._known_at = len(self._known)
            new = chunk.text[left:]
            signature = "" if self._is_signed else chunk.signature
            return (ThinkingDelta(text=new, signature=signature),) if new or signature else ()
        again = self._known[: self._known_at] + chunk.text
        self._known, self._known_at, self.thinks_anew = "", 0, True
        return (ThinkingDelta(text=again, signature=chunk.signature),)

    def _shorter(self) -> Sequence[Ready]:
        """The thinking repeated a part of what was given, and ended: told as a block of its own."""
        at, self._known_at = self._known_at, 0
        known, self._known = self._known, ""
        if at in (0, len(known)):
            return ()
        self.thinks_anew = True
        return (ThinkingDelta(text=known[:at]),)

    def _before_calls(self) -> Sequence[Ready]:
        """What is decided once no more text can come: a splice, or how much was thought once more."""
        if self._splice is None:
            return self._shorter()
        rest = self._splice.end()
        return (TextDelta(text=rest),) if rest else ()

    def _call(self, chunk: ToolCallDelta) -> Sequence[Ready]:
        if chunk.arguments:
            # Some wires send a call whole, others a token at a time.
            self.tokens += -(-len(chunk.arguments) // CHARS_PER_TOKEN)
        out: Sequence[Ready] = ()
        if self._kept is None:
            out = self._before_calls()
            self._kept = []
        call = self._calls.get(chunk.index)
        if call is None:
            call = self._calls[chunk.index] = _Call(chunk.index, chunk.id, chunk.name)
            self._kept.append(call)
        else:
            call.id, call.name = call.id or chunk.id, call.name or chunk.name
        call.arguments.append(chunk.arguments)
        self._count(len(chunk.arguments))
        return out

    def _keep(self, chunk: TextDelta | ThinkingDelta) -> Sequence[Ready]:
        assert self._kept is not None
        # A signature without words belongs to a call, and is wanted back with it.
        if isinstance(chunk, TextDelta) or not self._is_going_on or not chunk.text:
            self._kept.append(chunk)
            self._count(len(chunk.text))
        return ()

    def _count(self, chars: int) -> None:
        self._kept_chars += chars
        if self._kept_chars > KEPT_CHARS_MAX:
            raise Malformed(f"The model's tool calls are longer than {KEPT_CHARS_MAX} characters.")
