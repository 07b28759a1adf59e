"""Which history a request resends: each beginning of it has a hash, so a longer history is recognised by a shorter one."""

from collections.abc import Sequence
from hashlib import blake2b

from legion_core.gateway.types import (
    DocumentBlock,
    ImageBlock,
    Message,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
)

_SEPARATOR = b"\x1f"


def chain(messages: Sequence[Message]) -> list[bytes]:
    """A hash for each beginning of `messages`, the whole last. Thinking does not count: clients send it back or not."""
    heads = list[bytes]()
    before = b""
    for message in messages:
        digest = blake2b(before, digest_size=16)
        digest.update(message.role.encode())
        for block in message.content:
            if isinstance(block, ThinkingBlock):
                continue
            for part in _parts(block):
                digest.update(_SEPARATOR)
                digest.update(part.encode("utf-8", "surrogatepass"))
        before = digest.digest()
        heads.append(before)
    return heads


def _parts(block: object) -> tuple[str, ...]:
    match block:
        case TextBlock():
            return ("t", block.text)
        case ToolResultBlock():
            return ("r", block.call_id, block.text)
        case ImageBlock():
            return ("i", block.data, block.url)
        case DocumentBlock():
            return ("d", block.data, block.url)
        case _:
            return (
                "c",
                getattr(block, "id", ""),
                getattr(block, "name", ""),
                getattr(block, "arguments", ""),
            )
