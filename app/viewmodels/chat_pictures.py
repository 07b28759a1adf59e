"""Reads the pictures of a question from the engine, and has them made ready on a thread."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from app.bridge import Bridge

if TYPE_CHECKING:
    from legion_core.api.facade import Legion

T = TypeVar("T")


async def aside(work: Callable[[], T]) -> T:
    """Done on a thread: decoding a large picture takes longer than a frame."""
    return await asyncio.to_thread(work)


def read_pictures(bridge: Bridge, message_id: str, done: Callable[[Sequence[Any]], None]) -> None:
    """The pictures as they were sent."""

    async def ask(legion: "Legion") -> Sequence[Any]:
        return await legion.chat.pictures(message_id)

    bridge.launch("chat.picture", ask, done)


def decode_pictures(
    bridge: Bridge, message_id: str, decode: Callable[[Any], T], done: Callable[[list[T]], None]
) -> None:
    """Each picture through `decode`. One that was just sent has another name until it is stored: then nothing comes."""

    async def ask(legion: "Legion") -> list[T]:
        blocks = await legion.chat.pictures(message_id)
        return await aside(lambda: [decode(block) for block in blocks]) if blocks else []

    bridge.launch("chat.pictures", ask, done, lambda _: None)
