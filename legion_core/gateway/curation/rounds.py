"""The history as curation sees it: what the user said, and rounds, each an answer with all its calls and results.

A round is the smallest thing that is moved, so a call is never parted from its result.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from legion_core.gateway.curation.calls import Call, Kind, read_call
from legion_core.gateway.curation.extract import (
    chosen_lines,
    fingerprint,
    is_true,
    line_count,
    longest_lines,
    outcome_lines,
)
from legion_core.gateway.types import (
    Block,
    DocumentBlock,
    ImageBlock,
    Message,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)

IMAGE_TOKENS = 1_000
MESSAGE_TOKENS = 4  # framing of a message or a call on any wire
EXTRACT_CHARS_LEAST = 240
EXTRACT_CHARS_MAX = 1_600
OUTCOME_CHARS_LEAST = 45  # an exit code alone does not say what came out
LINE_CHARS = 120  # of a result, in the list of what was moved
OUTCOME_CHARS = 1_200  # of how a command ended
WRITTEN_CHARS = 240  # of what an edit put into a file
SENTENCE_CHARS = 320
SENTENCES_MAX = 6
WORTH_DISTILLING_TOKENS = 120

# Words a decision, a finding or a dead end is told with. A sentence with one is quoted where the rest of an answer goes,
# before one that has none.
_TELLING = re.compile(
    r"decid|decision|cho[so]e|instead|go(?:ing)? with|settle|let's use|we(?:'ll| will) use|i(?:'ll| will) use|set to|plan is|agreed"
    r"|root cause|the cause|turn(?:s|ed) out|n[o']t work|did not|didn't|doesn't|won't|can ?not|can't|fail|because|since|reason|due to"
    r"|dead end|no luck|tried|trying|ruled? out|revert|worse|must|never|always|avoid|keep|should|approach|refuted|abandon|reject"
    r"|switch|conclu|found|the fix|confirm|important|note:|summary|result|changed|remember|blocked|requires?\b",
    re.IGNORECASE,
)
# Turns after which an agent seldom asks how it was; how a command ended holds until it is run again.
HORIZONS: dict[Kind, int] = {"run": 120, "edit": 20, "write": 20, "other": 45, "search": 12, "read": 12}
_SENTENCE = re.compile(r"[^\n]*?(?:[.!?](?=\s)|\n|\Z)")
_TAGGED = re.compile(r"\A\s*<(think|thinking)>(.*?)(?:</\1>|\Z)", re.DOTALL)


class Level(IntEnum):
    """How much of a round is in the view; it only ever goes down."""

    GONE = 0
    LISTED = 1  # a line in the list of what was moved
    DISTILLED = 2
    FILES = 3  # what was read is whole, other results are extracts
    BARE = 4  # whole but for the thinking
    RAW = 5


@dataclass(slots=True, eq=False)
class Exchange:
    """One call and its result. `number` counts calls through the conversation, and names the result in the archive."""

    number: int
    use: ToolUseBlock
    result: ToolResultBlock
    call: Call
    tokens: int
    extract: str = ""
    extract_tokens: int = 0
    line: str = ""
    line_tokens: int = 0
    fingerprint: int = 0
    has_outcome: bool = False  # it says how it ended
    is_covered: bool = False
    is_repeated: bool = False

    @property
    def horizon(self) -> int:
        """Turns for which it is likely to be asked for."""
        return HORIZONS["other" if self.call.kind == "run" and not self.has_outcome else self.call.kind]

    @property
    def key(self) -> str:
        """Its name in the archive, as written in placeholders."""
        return f"#{self.number}"


@dataclass(slots=True, eq=False)
class Round:
    """An answer and, where it calls, what the calls gave. Token figures are what each part costs in the view."""

    index: int
    ids: tuple[str, ...]
    messages: tuple[Message, ...]
    exchanges: tuple[Exchange, ...]
    text: str
    tokens: int
    thinking_tokens: int
    text_tokens: int
    said: str = ""  # its telling sentences, quoted
    said_tokens: int = 0
    aside: str = ""  # the others
    aside_tokens: int = 0
    level: Level = Level.RAW
    is_kept: bool = False  # by hand
    covered: bool = False  # later rounds show all that this one shows, as it is now
    repeated: bool = False  # and the same, word for word
    line_tokens: int = 0
    has_line: bool = True  # until an epoch has no room for it
    list_at: int = -1  # the round in whose place the list stands that tells of it; none: -1
    horizon: int = 1  # turns for which its line is likely to be wanted
    rendered: tuple[Level, tuple[Message, ...]] | None = None

    @property
    def key(self) -> str:
        """The name of its words in the archive."""
        return f"#a{self.index + 1}"

    @property
    def is_answer(self) -> bool:
        """Whether it calls nothing: it ends what the user asked for."""
        return not self.exchanges

    @property
    def has_reads(self) -> bool:
        """Whether it shows files."""
        return any(exchange.call.kind == "read" for exchange in self.exchanges)

    @property
    def is_covered(self) -> bool:
        """Whether nothing of it is news to somebody who sees the later rounds."""
        return self.covered or self.repeated

    @property
    def bare_tokens(self) -> int:
        """Tokens without the thinking."""
        return self.tokens - self.thinking_tokens

    @property
    def files_tokens(self) -> int:
        """Tokens with extracts in the place of results that show no file."""
        return self.bare_tokens - sum(
            max(0, e.tokens - e.extract_tokens) for e in self.exchanges if e.extract and e.call.kind != "read"
        )

    @property
    def distilled_tokens(self) -> int:
        """Tokens with extracts in the place of results."""
        return self.bare_tokens - sum(
            max(0, e.tokens - e.extract_tokens) for e in self.exchanges if e.extract
        )


@dataclass(slots=True, eq=False)
class Said:
    """What the user said; never changed."""

    ids: tuple[str, ...]
    messages: tuple[Message, ...]
    tokens: int
    rounds: list[Round] = field(default_factory=list[Round])  # what it led to


class Reader:
    """Makes rounds of messages as they come. What no wire would take is left out, and told in `strays`."""

    def __init__(self, count: Callable[[str], int]) -> None:
        self._count = count
        self._exchanges = 0
        self._rounds = 0
        self._call_ids = set[str]()

    def round_of(
        self, ids: Sequence[str], answer: Message, results: Sequence[Message]
    ) -> tuple[Round, list[str]]:
        """The round of an answer and the messages with its results; and what of it stands alone, as text."""
        given, strays = _given(results)
        exchanges, kept = list[Exchange](), list[Block]()
        thinking = text = ""
        for block in answer.content:
            match block:
                case ToolUseBlock():
                    result = given.pop(block.id, None)
                    if result is None:
                        strays.append(f"{block.name} {block.arguments}")
                        continue
                    exchange = self._exchange(block, result)
                    exchanges.append(exchange)
                    kept.append(exchange.use)
                    continue
                case ThinkingBlock():
                    thinking += block.text
                case TextBlock():
                    text += block.text
                case _:
                    pass
            kept.append(block)
        strays += [block.text for block in given.values()]
        if not exchanges and not any(weighs(block) for block in kept):
            kept = [TextBlock(text="(no text)")]
        is_whole = (
            len(kept) == len(answer.content)
            and not strays
            and all(a is b for a, b in zip(kept, answer.content, strict=True))
        )
        content = answer.content if is_whole else tuple(kept)
        messages: list[Message] = [Message(role="assistant", content=content)]
        if is_whole:
            messages = [answer, *results]
        elif exchanges:
            messages.append(Message(role="tool", content=tuple(e.result for e in exchanges)))
        if tagged := _TAGGED.match(text):
            thinking += tagged.group(0)
        thinking_tokens = self._count(thinking) if thinking else 0
        text_tokens = self._count(text) if text else 0
        said, said_tokens, aside, aside_tokens = self._said(text, exchanges)
        round_ = Round(
            index=self._rounds,
            ids=tuple(ids),
            messages=tuple(messages),
            exchanges=tuple(exchanges),
            text=text,
            tokens=MESSAGE_TOKENS * len(messages)
            + sum(self._count(b.text) for b in answer.content if isinstance(b, ThinkingBlock))
            + text_tokens
            + sum(
                self._count(e.use.name) + self._count(e.use.arguments) + MESSAGE_TOKENS + e.tokens
                for e in exchanges
            )
            + IMAGE_TOKENS * sum(isinstance(b, ImageBlock) for b in answer.content),
            thinking_tokens=thinking_tokens,
            text_tokens=text_tokens,
            said=said,
            said_tokens=said_tokens,
            aside=aside,
            aside_tokens=aside_tokens,
        )
        round_.line_tokens = sum(exchange.line_tokens for exchange in exchanges)
        round_.horizon = max((exchange.horizon for exchange in exchanges), default=1)
        self._rounds += 1
        return round_, strays

    def said_by_user(self, ids: Sequence[str], messages: Sequence[Message]) -> Said:
        """The user's words, with what they weigh."""
        return Said(tuple(ids), tuple(messages), sum(self.weight(message) for message in messages))

    def weight(self, message: Message) -> int:
        """Tokens of one message as it is."""
        tokens = MESSAGE_TOKENS
        for block in message.content:
            match block:
                case TextBlock() | ThinkingBlock() | ToolResultBlock():
                    tokens += self._count(block.text)
                case ToolUseBlock():
                    tokens += self._count(block.name) + self._count(block.arguments) + MESSAGE_TOKENS
                case ImageBlock():
                    tokens += IMAGE_TOKENS
                case DocumentBlock():
                    tokens += block.tokens
        return tokens

    def _exchange(self, use: ToolUseBlock, result: ToolResultBlock) -> Exchange:
        self._exchanges += 1
        call_id = use.id or f"call_{self._exchanges}"
        while call_id in self._call_ids:  # providers refuse an id that comes twice
            call_id = f"{use.id}_{self._exchanges}"
        self._call_ids.add(call_id)
        if call_id != use.id:
            use = ToolUseBlock(id=call_id, name=use.name, arguments=use.arguments)
            result = ToolResultBlock(call_id=call_id, text=result.text, is_error=result.is_error)
        call = read_call(use.name, use.arguments)
        text = result.text
        exchange = Exchange(self._exchanges, use, result, call, self._count(text))
        exchange.fingerprint = hash((call.kind, fingerprint(text))) if text.strip() else 0
        self._extract(exchange)
        return exchange

    def _extract(self, exchange: Exchange) -> None:
        text = exchange.result.text
        told = line_count(text)
        chars = min(EXTRACT_CHARS_MAX, max(EXTRACT_CHARS_LEAST, len(text) // 8))
        outcome = outcome_lines(text, OUTCOME_CHARS) if _tells_outcome(exchange) else []
        room = sum(map(len, outcome)) if exchange.call.kind == "run" else 0
        lines = chosen_lines(text, max(chars, room + EXTRACT_CHARS_LEAST))
        if exchange.tokens >= WORTH_DISTILLING_TOKENS and is_true(lines, text):
            body = "\n".join(lines)
            extract = f"[{told:,} lines; all of it: recall {exchange.key}; of it:]\n{body}"
            tokens = self._count(extract)
            if tokens < 0.7 * exchange.tokens:
                exchange.extract, exchange.extract_tokens = extract, tokens
        exchange.line = " | ".join([f"{exchange.key} {exchange.call.label}", *self._brief(exchange, outcome)])
        exchange.line_tokens = self._count(exchange.line) + 1

    def _brief(self, exchange: Exchange, brief: list[str]) -> list[str]:
        """What the list says of a result: how it ended (`brief`), what an edit wrote, ids and counts; quoted."""
        call, text = exchange.call, exchange.result.text
        if call.kind in ("edit", "write") and not exchange.result.is_error:
            return longest_lines(call.written, WRITTEN_CHARS)
        if not _tells_outcome(exchange):
            return []
        exchange.has_outcome = bool(brief)
        if (known := sum(map(len, brief))) < OUTCOME_CHARS_LEAST:
            brief = chosen_lines(text, LINE_CHARS + known, 3)
        return [line.strip() for line in brief] if is_true(brief, text) else []

    def _said(self, text: str, exchanges: Sequence[Exchange]) -> tuple[str, int, str, int]:
        """Quotes of an answer, telling ones and others; they stand in the list where the rest of it goes."""
        if not text:
            return "", 0, "", 0
        telling, others = list[str](), list[str]()
        for sentence in _sentences(text):
            quotes = telling if _TELLING.search(sentence) else others
            quotes.append(sentence if len(sentence) <= SENTENCE_CHARS else sentence[:SENTENCE_CHARS] + "…")
        where = f"{exchanges[0].key}: " if exchanges else ""
        said = where + " ".join(telling[:SENTENCES_MAX]) if telling else ""
        aside = where + " ".join(others[:SENTENCES_MAX]) if others else ""
        return said, self._count(said) + 1, aside, self._count(aside) + 1


def _tells_outcome(exchange: Exchange) -> bool:
    """Whether its result says how something ended, rather than what stands somewhere."""
    return exchange.result.is_error or exchange.call.kind in ("run", "other")


def _sentences(text: str) -> list[str]:
    found = (match.group(0).strip() for match in _SENTENCE.finditer(without_thinking(text)))
    return [sentence for sentence in found if sentence]


def _given(results: Sequence[Message]) -> tuple[dict[str, ToolResultBlock], list[str]]:
    """Results by the id of their call, and what is no first result of one."""
    given, strays = dict[str, ToolResultBlock](), list[str]()
    for message in results:
        for block in message.content:
            if isinstance(block, ToolResultBlock) and block.call_id not in given:
                given[block.call_id] = block
            else:
                strays.append(text_of(block))
    return given, strays


def without_thinking(text: str) -> str:
    """An answer's text without reasoning in tags at its beginning."""
    while tagged := _TAGGED.match(text):
        text = text[tagged.end() :]
    return text


def weighs(block: object) -> bool:
    """Whether a provider would see anything of it."""
    return not isinstance(block, TextBlock) or bool(block.text)


def text_of(block: object) -> str:
    """All words of a block."""
    match block:
        case TextBlock() | ThinkingBlock() | ToolResultBlock():
            return block.text
        case ToolUseBlock():
            return f"{block.name} {block.arguments}"
        case DocumentBlock():
            return f"(document {block.name})" if block.name else "(document)"
        case _:
            return "(image)"
