"""The ways of keeping a history small that are compared: nothing, the usual ones, Legion's six rules, and ours.

Each policy is fed the messages that are new and says what the next request would carry. `recall` is empty where a
policy has none. `sparse` policies are too slow to be asked at every request of a long conversation.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from benchmarks.curation_tokens import pinned
from legion_core.gateway.types import (
    Block,
    Message,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)

FRAME_TOKENS = 4  # of a message and of a call, on any wire
IMAGE_TOKENS = 1_000
RECALL_TOKENS = 8_000
IDLE_S = 300.0
_weights: dict[int, tuple[Block, int]] = {}


class Policy(Protocol):
    """A way to make a view of a history."""

    name: str
    sparse: bool

    def add(self, messages: Sequence[Message]) -> None:
        """Take what is new."""

    def view(self, at_s: float) -> Sequence[Message]:
        """What goes out now."""
        ...

    def recall(self, asked: str) -> str:
        """What one call of `recall` gives."""
        ...


def block_tokens(block: Block) -> int:
    """Tokens of a block; counted once for each object."""
    known = _weights.get(id(block))
    if known is not None and known[0] is block:
        return known[1]
    count = pinned().count
    match block:
        case ToolUseBlock():
            tokens = count(block.name) + count(block.arguments) + FRAME_TOKENS
        case TextBlock() | ThinkingBlock() | ToolResultBlock():
            tokens = count(block.text)
        case _:
            tokens = IMAGE_TOKENS
    if len(_weights) > 400_000:
        _weights.clear()
    _weights[id(block)] = (block, tokens)
    return tokens


def message_tokens(message: Message) -> int:
    """Tokens of a message with its frame."""
    return FRAME_TOKENS + sum(map(block_tokens, message.content))


class Naive:
    """The whole history, every time."""

    name = "naive"
    sparse = False

    def __init__(self, system: tuple[str, ...] = ()) -> None:
        self.messages: list[Message] = []
        self.system_tokens = sum(map(pinned().count, system))

    def add(self, messages: Sequence[Message]) -> None:
        """Append."""
        self.messages += messages

    def view(self, at_s: float) -> Sequence[Message]:
        """All."""
        return self.messages

    def recall(self, asked: str) -> str:
        """Nothing is kept apart."""
        return ""


class Window(Naive):
    """The history until it no longer fits 200,000 tokens; then its older half is cut off behind the task."""

    name = "window 200k"
    limit, keep = 190_000, 95_000

    def __init__(self, system: tuple[str, ...] = ()) -> None:
        super().__init__(system)
        self.tokens = self.system_tokens

    def add(self, messages: Sequence[Message]) -> None:
        """Append, and cut where it no longer fits."""
        super().add(messages)
        self.tokens += sum(map(message_tokens, messages))
        if self.tokens <= self.limit:
            return
        while len(self.messages) > 2 and self.tokens > self.keep:
            self.tokens -= message_tokens(self.messages.pop(1))
        while len(self.messages) > 1 and self.messages[1].role == "tool":
            self.tokens -= message_tokens(self.messages.pop(1))


class LastN(Naive):
    """The task and the last twenty messages, begun where no call is cut off."""

    name = "last 20"

    def view(self, at_s: float) -> Sequence[Message]:
        """The first message and the tail."""
        if len(self.messages) <= 21:
            return self.messages
        tail = self.messages[-20:]
        while tail and tail[0].role == "tool":
            tail = tail[1:]
        return [self.messages[0], *tail]


class Masking(Naive):
    """Observation masking: results but the last ten are hidden, calls and words stay."""

    name = "masking 10"
    keep, trigger, text = 10, 0, "[Old observation omitted]"

    def view(self, at_s: float) -> Sequence[Message]:
        """The history with old results hidden."""
        if self.trigger and self.system_tokens + sum(map(message_tokens, self.messages)) < self.trigger:
            return self.messages
        left = self.keep
        shown: list[Message] = []
        for message in reversed(self.messages):
            if message.role != "tool":
                shown.append(message)
                continue
            blocks: list[Block] = []
            for block in reversed(message.content):
                if isinstance(block, ToolResultBlock) and left <= 0:
                    blocks.append(self._hidden(block))
                else:
                    left -= 1
                    blocks.append(block)
            shown.append(
                message
                if blocks[::-1] == list(message.content)
                else Message(role="tool", content=tuple(blocks[::-1]))
            )
        return shown[::-1]

    def _hidden(self, block: ToolResultBlock) -> ToolResultBlock:
        kept = self.__dict__.setdefault("_kept", {})
        if block.call_id not in kept:
            kept[block.call_id] = ToolResultBlock(
                call_id=block.call_id, text=self.text, is_error=block.is_error
            )
        return kept[block.call_id]


class ClearToolUses(Masking):
    """A client-side clone of `clear_tool_uses`: from 100,000 tokens on, all results but the last three are cleared."""

    name = "clear_tool_uses"
    keep, trigger, text = 3, 100_000, "[Old tool result content cleared]"


class LegionRules(Naive):
    """The six rules of the original with its newest defaults and its faults: no roles, no pairs, exit 0 by default."""

    name = "six Legion rules"
    sparse = True
    result_chars_max, target_tokens, keep = 10_000, 120_000, 10
    _think = re.compile(r"\A\s*<(think|thinking)>.*?(?:</\1>|\Z)\s*", re.DOTALL)
    _path = re.compile(
        r"(?:reading|read|opened|file):?\s+(/?[\w./-]+\.\w+)|^(/[\w./-]+\.\w+)", re.IGNORECASE | re.MULTILINE
    )
    _solved = re.compile(r"yes|right|correct|agree|i see|got it|clarif", re.IGNORECASE)
    _concluded = re.compile(r"in conclusion|therefore|decided|done", re.IGNORECASE)

    def view(self, at_s: float) -> Sequence[Message]:
        """The view as `context_load` makes it."""
        users = [at for at, message in enumerate(self.messages) if message.role == "user"]
        recent = users[-2] if len(users) >= 2 else 0
        shown = [
            message if at >= recent else self._distilled(self._stripped(message))
            for at, message in enumerate(self.messages)
        ]
        return self._drop(self._dedup(self._evict(self._fold(shown))))

    def _text(self, message: Message) -> str:
        return "\n".join(
            b.arguments if isinstance(b, ToolUseBlock) else getattr(b, "text", "") for b in message.content
        )

    def _stripped(self, message: Message) -> Message:
        if message.role == "tool":
            return message
        kept = tuple(
            TextBlock(text=self._think.sub("", b.text)) if isinstance(b, TextBlock) else b
            for b in message.content
            if not isinstance(b, ThinkingBlock)
        )
        return Message(role=message.role, content=kept) if kept else message

    def _distilled(self, message: Message) -> Message:
        return Message(role=message.role, content=tuple(self._short(b) for b in message.content))

    def _short(self, block: Block) -> Block:
        text = block.text if isinstance(block, TextBlock | ToolResultBlock) else ""
        if len(text) <= self.result_chars_max:
            return block
        lines = text.split("\n")
        head = text[:200].lower()
        if "passed" in head or "exit" in head or "test session" in head or "$" in head:
            code = re.search(r"exit(?:ed)?(?: with)?(?: code)?[ :]+(\d+)", text[:500], re.IGNORECASE)
            short = (
                f"[bash: {len(lines)} lines, exit {code[1] if code else 0}; {' / '.join(lines[-3:])[:200]}]"
            )
        elif re.match(r"\s*\d+[\u2192\t:]", text):
            short = f"[read: {len(lines)} lines; {lines[0][:80]} … {lines[-1][:80]}]"
        elif re.match(r"[\w./-]+:\d+:", text):
            short = f"[search: {len(lines)} matches; {' '.join(line for line in lines[:20] if '/' in line)[:400]}]"
        else:
            short = text[:200]
        return (
            ToolResultBlock(call_id=block.call_id, text=short, is_error=block.is_error)
            if isinstance(block, ToolResultBlock)
            else TextBlock(text=short)
        )

    def _fold(self, messages: list[Message]) -> list[Message]:
        out: list[Message] = []
        at = 0
        while at < len(messages):
            window = messages[at : at + 4]
            last = self._text(window[-1])
            if (
                len(window) == 4
                and window[0].role == "user"
                and window[-1].role == "assistant"
                and any(self._solved.search(self._text(m)) for m in window)
                and (len(last) < 500 or self._concluded.search(last))
            ):
                out.append(
                    Message(role="user", content=(TextBlock(text=f"[system note] Resolved: {last[:300]}"),))
                )
                at += 4
            else:
                out.append(messages[at])
                at += 1
        return out

    def _evict(self, messages: list[Message]) -> list[Message]:
        paths = [self._path.search(self._text(message)[:500]) for message in messages]
        names = [(found[1] or found[2]) if found else None for found in paths]
        latest = {name: at for at, name in enumerate(names) if name}
        return [message for at, message in enumerate(messages) if not names[at] or latest[names[at]] == at]

    def _dedup(self, messages: list[Message]) -> list[Message]:
        kept: list[tuple[Message, set[str]]] = []
        for message in reversed(messages):
            text = self._text(message)
            found = set(text.split()) if len(text) >= 20 else set()
            small = len(found)
            if small and any(
                other.role == message.role
                and 0.85 * small <= len(seen) <= small / 0.85
                and len(found & seen) >= 0.85 * len(found | seen)
                for other, seen in kept
                if seen
            ):
                continue
            kept.append((message, found))
        return [message for message, _ in reversed(kept)]

    def _drop(self, messages: list[Message]) -> list[Message]:
        if sum(len(self._text(message)) for message in messages) / 4 <= self.target_tokens:
            return messages
        return messages[-self.keep :]


class Ours:
    """The curator asked right before each request, deciding with its own counter. The gateway's order is `OursLive`."""

    name = "legion curation, asked before the request"
    sparse = False

    def __init__(self, system: tuple[str, ...] = (), count: Callable[[str], int] | None = None) -> None:
        from legion_core.gateway.curation.curator import Curator

        self.curator = Curator(count or _estimate(), system=system)
        self.edits = 0

    def add(self, messages: Sequence[Message]) -> None:
        """Feed."""
        self.curator.add(messages)

    def view(self, at_s: float) -> Sequence[Message]:
        """The curated view."""
        view = self.curator.view()
        self.edits += len(view.edits)
        return view.messages

    def recall(self, asked: str) -> str:
        """The text of one call, as far as it is counted."""
        text = "\n".join(found.text for found in self.curator.recall(asked))
        return text[: RECALL_TOKENS * 4]


class OursLive(Ours):
    """The curator as the gateway runs it: what a request carries was curated after the one before it, the rest as it came."""

    name = "legion curation"

    def __init__(self, system: tuple[str, ...] = (), count: Callable[[str], int] | None = None) -> None:
        super().__init__(system, count)
        from legion_core.gateway.curation.curator import Curator
        from legion_core.gateway.curation.types import CurationSettings

        self.curator = Curator(count or _estimate(), CurationSettings(raw_rounds=0), system)
        self._ready: Sequence[Message] = ()
        self._new: list[Message] = []
        self._at_s: float | None = None

    def add(self, messages: Sequence[Message]) -> None:
        """Feed."""
        self._new += messages

    def view(self, at_s: float) -> Sequence[Message]:
        """What goes out; the curator sees it afterwards, and once more when nothing is said for five minutes."""
        if self._at_s is not None and at_s - self._at_s > IDLE_S:
            self._take(self.curator.idle())
        self._at_s = at_s
        sent = [*self._ready, *self._new]
        self.curator.add(self._new)
        self._new = []
        self._take(self.curator.view())
        return sent

    def _take(self, view: Any) -> None:
        self.edits += len(view.edits)
        self._ready = view.messages


def _estimate() -> Callable[[str], int]:
    from legion_core.gateway.providers.estimate import tokens_in

    return lambda text: tokens_in(len(text))


BASELINES: tuple[type[Naive], ...] = (Naive, Window, LastN, Masking, ClearToolUses, LegionRules)


def words_of(block: Block) -> str:
    """All a reader of the block sees; arguments as written and as they are meant."""
    if isinstance(block, ToolUseBlock):
        return block.name + " " + block.arguments + "\n" + unescaped(block.arguments)
    return getattr(block, "text", "")


def unescaped(arguments: str) -> str:
    """The texts in a call's JSON, as they are meant."""
    try:
        found = json.loads(arguments)
    except ValueError:
        return ""
    texts: list[str] = []
    pile: list[object] = [found]
    while pile:
        each = pile.pop()
        if isinstance(each, str):
            texts.append(each)
        elif isinstance(each, dict):
            pile += each.values()
        elif isinstance(each, list):
            pile += each
        elif each is not None:
            texts.append(str(each))
    return "\n".join(texts)
