"""Responses that may be asked for again: what `previous_response_id` continues, for a while and within bounds."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from legion_core.gateway.types import DocumentBlock, ImageBlock, Message, ToolUseBlock
from legion_core.kernel.errors import NotFound

RESPONSES_MAX: Final = 256
CHARS_MAX: Final = 32_000_000  # of all that is kept, history counted with each response that has it


@dataclass(frozen=True, slots=True)
class Kept:
    """One response: the whole conversation up to its end, what rules it, and the response as it was sent."""

    messages: tuple[Message, ...]
    system: tuple[str, ...]
    body: bytes

    @property
    def chars(self) -> int:
        """Its size, roughly: parts shared with other responses count in each of them."""
        return len(self.body) + sum(map(len, self.system)) + sum(map(_chars, self.messages))


class KeptResponses:
    """The latest responses of each caller, in memory only; nobody reads another's."""

    def __init__(self, *, responses_max: int = RESPONSES_MAX, chars_max: int = CHARS_MAX) -> None:
        self._responses_max = responses_max
        self._chars_max = chars_max
        self._chars = 0
        self._kept: OrderedDict[tuple[str, str], Kept] = OrderedDict()

    def put(self, caller: str, response_id: str, kept: Kept) -> None:
        """Keep a response; the ones that were not asked for the longest make room."""
        if kept.chars > self._chars_max:
            return
        self._kept[caller, response_id] = kept
        self._chars += kept.chars
        while len(self._kept) > self._responses_max or self._chars > self._chars_max:
            self._chars -= self._kept.popitem(last=False)[1].chars

    def get(self, caller: str, response_id: str) -> Kept:
        """The response; NotFound if there is none of this caller any more."""
        kept = self._kept.get((caller, response_id))
        if kept is None:
            raise NotFound(
                f"There is no response {response_id[:80]!r} here.",
                hint="The latest are kept until the workbench stops. Send the conversation again, or name one "
                "in `x-legion-conversation`.",
            )
        self._kept.move_to_end((caller, response_id))
        return kept

    def remove(self, caller: str, response_id: str) -> None:
        """Forget a response; NotFound if there is none."""
        self._chars -= self.get(caller, response_id).chars
        del self._kept[caller, response_id]


def _chars(message: Message) -> int:
    size = 0
    for block in message.content:
        match block:
            case ImageBlock() | DocumentBlock():
                size += len(block.data) + len(block.url)
            case ToolUseBlock():
                size += len(block.name) + len(block.arguments)
            case _:
                size += len(block.text)
    return size
