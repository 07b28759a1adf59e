"""What curation does to a conversation: how much shorter it is, what the model will see, and taking it back.

A session that a client keeps and resends is known by the client's own name of it: its figures, its edits and `recall` are here too.
Its messages are not, so what the model will see of it is not shown, and nothing of it is taken back: the client turns curation off.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from legion_core.gateway.conversations import Conversations
from legion_core.kernel.errors import NotFound

if TYPE_CHECKING:
    from legion_core.gateway.curation.service import Curation, CurationEdit, CurationMeter, SeenPart
    from legion_core.gateway.curation.types import Recalled


class CurationDoor:
    """Curation as a surface sees it. The curator is loaded when first asked for."""

    def __init__(self, curation: "Callable[[], Curation]", conversations: Conversations) -> None:
        self._curation = curation
        self._conversations = conversations

    async def meter(self, conversation_id: str) -> "CurationMeter":
        """Tokens with nothing done and as sent, and what each strategy did; equal figures where nothing was."""
        told = await self._curation().meter(conversation_id)
        if not told.naive_tokens:
            await self._conversations.head(conversation_id)
        return told

    async def edits(self, conversation_id: str) -> "tuple[CurationEdit, ...]":
        """Every edit, in order; `archive_key` gives it back by `recall`."""
        found = await self._curation().edits(conversation_id)
        if not found:
            await self._conversations.head(conversation_id)
        return found

    async def seen(self, conversation_id: str) -> "tuple[SeenPart, ...]":
        """Each message of the active branch as it was said, and as the model will see it."""
        ids, messages = await self._conversations.named_history(conversation_id)
        return await self._curation().seen(conversation_id, messages, ids)

    async def undo(self, conversation_id: str, number: int) -> None:
        """Give back what one edit took, and leave it alone from then on."""
        _, messages = await self._conversations.named_history(conversation_id)
        await self._curation().undo(conversation_id, number, messages)

    async def undo_epoch(self, conversation_id: str, epoch: int) -> None:
        """Give back all that one round of edits took, and leave it alone from then on."""
        _, messages = await self._conversations.named_history(conversation_id)
        await self._curation().undo_epoch(conversation_id, epoch, messages)

    async def keep(self, conversation_id: str, message_id: str) -> None:
        """Give back a message, with its call and result, and leave it alone from then on."""
        ids, messages = await self._conversations.named_history(conversation_id)
        if message_id not in ids:
            raise NotFound(f"There is no message {message_id!r} in the branch that is shown.")
        await self._curation().keep(conversation_id, ids.index(message_id), messages)

    async def prepare(self, conversation_id: str) -> None:
        """Make the view of a long chat that was never sent, an imported one say; others are left as they are."""
        _, messages = await self._conversations.named_history(conversation_id)
        await self._curation().prepare(conversation_id, messages)

    async def set_on(self, conversation_id: str, is_on: bool) -> None:
        """Turn curation on or off for this conversation, from its next request on."""
        await self._conversations.head(conversation_id)
        await self._curation().set_on(conversation_id, is_on)

    async def recall(self, conversation_id: str, text: str, limit: int = 3) -> "tuple[Recalled, ...]":
        """Removed texts, verbatim: by key, or those that hold a path, a quote or most words."""
        return await self._curation().recall(conversation_id, text, limit)

    async def saved(self, since: str = "") -> tuple[int, int, int]:
        """Curated requests since a UTC day (ISO), their tokens with nothing done, and as they were sent."""
        return await self._curation().saved(since)
