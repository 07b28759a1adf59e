"""How a round looks in the view at each level. Whatever curation writes stands in the place of a tool's result."""

from collections.abc import Callable, Sequence

from legion_core.gateway.curation.plan import Plan
from legion_core.gateway.curation.rounds import MESSAGE_TOKENS, Exchange, Level, Round, without_thinking
from legion_core.gateway.types import (
    Block,
    Message,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)

ANSWER_CHARS = 120  # of an answer that was moved, from its beginning
HEADER = (
    '[Results up to here were moved out of the conversation, this one too. Each is still there word for word: recall "#1",'
    " or recall with a path or words from it. Quoted below, newest last: what was said, and calls with how they ended.]"
)

HEADER_AGAIN = "[Moved out like those before it. Quoted below, newest last:]"


def bare(round_: Round) -> tuple[Message, ...]:
    """The round without its thinking; where that leaves nothing, as it is.

    Thoughts that a provider signed go too: it wants back only those of the last answer, which is never touched.
    """
    if not round_.thinking_tokens:
        return round_.messages
    content = _without_thoughts(round_.messages[0])
    return (Message(role="assistant", content=content), *round_.messages[1:]) if content else round_.messages


def distilled(round_: Round, *, has_files: bool = False) -> tuple[Message, ...]:
    """The round with checked extracts in the place of long results; with `has_files` what was read stays whole."""
    extracts = {
        exchange.use.id: exchange.extract
        for exchange in round_.exchanges
        if exchange.extract and not (has_files and exchange.call.kind == "read")
    }
    first, *results = bare(round_)
    return (first, *(_with_results(message, extracts) for message in results))


def shortened(round_: Round) -> tuple[Message, ...]:
    """An answer's beginning and the place where the rest is."""
    text = without_thinking(round_.text).strip()
    if len(text) <= ANSWER_CHARS + 40:
        return bare(round_)
    quoted = round_.said or f"{text[:ANSWER_CHARS].rsplit(' ', 1)[0]}…"
    told = TextBlock(text=f"{quoted} [all of it: recall {round_.key}]")
    return (Message(role="assistant", content=(told,)),)


def placeholder(exchange: Exchange, text: str) -> tuple[Message, ...]:
    """One call of a round that was moved, with `text` for its result."""
    result = ToolResultBlock(call_id=exchange.use.id, text=text)
    return (Message(role="assistant", content=(exchange.use,)), Message(role="tool", content=(result,)))


def listing(rounds: Sequence[Round], made: Plan, *, is_first: bool) -> str:
    """The list of what was moved: what was said, and a line for each call."""
    told = [HEADER if is_first else HEADER_AGAIN]
    for round_ in rounds:
        if round_.index in made.quotes:
            told.append(round_.said)
        if round_.index in made.asides:
            told.append(round_.aside)
        if round_.index in made.lines:
            told += [exchange.line for exchange in round_.exchanges if not exchange.is_covered]
    return "\n".join(told)


def weight(messages: Sequence[Message], count: Callable[[str], int]) -> int:
    """Tokens of rendered messages."""
    tokens = 0
    for message in messages:
        tokens += MESSAGE_TOKENS
        for block in message.content:
            if isinstance(block, ToolUseBlock):
                tokens += count(block.name) + count(block.arguments) + MESSAGE_TOKENS
            elif isinstance(block, TextBlock | ThinkingBlock | ToolResultBlock):
                tokens += count(block.text)
    return tokens


def shown(round_: Round) -> tuple[Message, ...]:
    """What of the round stands in its own place; the same objects as long as it looks the same."""
    level = round_.level
    if level is Level.RAW:
        return round_.messages
    if round_.rendered is not None and round_.rendered[0] is level:
        return round_.rendered[1]
    messages = _at_level(round_, level)
    round_.rendered = (level, messages)
    return messages


def _at_level(round_: Round, level: Level) -> tuple[Message, ...]:
    if level is Level.BARE:
        return bare(round_)
    if round_.is_answer:
        return shortened(round_)
    return distilled(round_, has_files=level is Level.FILES) if level >= Level.DISTILLED else ()


def _without_thoughts(message: Message) -> tuple[Block, ...]:
    kept = list[Block]()
    is_first_text = True
    for block in message.content:
        if isinstance(block, ThinkingBlock):
            continue
        if isinstance(block, TextBlock) and is_first_text:
            is_first_text = False
            text = without_thinking(block.text)
            if not text.strip():
                continue
            block = block if text == block.text else TextBlock(text=text)
        kept.append(block)
    return tuple(kept)


def _with_results(message: Message, extracts: dict[str, str]) -> Message:
    content = tuple(
        ToolResultBlock(call_id=block.call_id, text=extracts[block.call_id], is_error=block.is_error)
        if isinstance(block, ToolResultBlock) and block.call_id in extracts
        else block
        for block in message.content
    )
    return Message(role=message.role, content=content)
