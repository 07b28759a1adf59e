"""Usage where the provider says nothing: four characters a token. Source: seed (chars/4)."""

from typing import Final

from legion_core.gateway.types import (
    DocumentBlock,
    ImageBlock,
    Request,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    Usage,
)

CHARS_PER_TOKEN: Final = 4
TOKENS_PER_IMAGE: Final = 1000


def tokens_in(chars: int) -> int:
    """Tokens in that many characters, rounded up."""
    return -(-chars // CHARS_PER_TOKEN)


def estimated_usage(request: Request, *, prefix: str, output_chars: int) -> Usage:
    """What `request` and an answer of so many characters come to; marked as an estimate."""
    chars = len(prefix) + len(request.suffix) + sum(map(len, request.system))
    shown = 0
    for message in request.messages:
        for block in message.content:
            match block:
                case TextBlock() | ThinkingBlock() | ToolResultBlock():
                    chars += len(block.text)
                case ToolUseBlock():
                    chars += len(block.name) + len(block.arguments)
                case ImageBlock():
                    shown += TOKENS_PER_IMAGE
                case DocumentBlock():
                    shown += block.tokens
    for tool in request.tools:
        chars += len(tool.name) + len(tool.description) + len(str(tool.parameters))
    return Usage(
        input_tokens=tokens_in(chars) + shown,
        output_tokens=tokens_in(output_chars),
        is_estimated=True,
    )
