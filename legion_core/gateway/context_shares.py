"""Arithmetic of a request's parts: instructions, tools, what was said before, the newest turn; in estimated tokens."""

from collections.abc import Sequence

import msgspec

from legion_core.gateway.conversation_types import ContextShares
from legion_core.gateway.providers.estimate import TOKENS_PER_IMAGE, tokens_in
from legion_core.gateway.types import DocumentBlock, ImageBlock, Message, ToolDefinition, ToolUseBlock


def shares_of(
    conversation_id: str, rules: Sequence[str], tools: Sequence[ToolDefinition], messages: Sequence[Message]
) -> ContextShares:
    """The newest turn begins at the last question."""
    last = max((place for place, message in enumerate(messages) if message.role == "user"), default=0)
    return ContextShares(
        conversation_id=conversation_id,
        system=sum(tokens_in(len(rule)) for rule in rules),
        tools=tokens_in(len(msgspec.json.encode(tools))) if tools else 0,
        history=sum(map(_weight, messages[:last])),
        newest=sum(map(_weight, messages[last:])),
    )


def _weight(message: Message) -> int:
    tokens = 0
    for block in message.content:
        match block:
            case ImageBlock():
                tokens += TOKENS_PER_IMAGE
            case DocumentBlock():
                tokens += block.tokens
            case ToolUseBlock():
                tokens += tokens_in(len(block.name) + len(block.arguments))
            case _:
                tokens += tokens_in(len(block.text))
    return tokens
