"""An answer put together from the events of its stream."""

from typing import Self

from legion_core.gateway.types import (
    Block,
    Closed,
    Joined,
    Opened,
    Seam,
    StreamEvent,
    TextBlock,
    TextDelta,
    ThinkingBlock,
    ThinkingDelta,
    ToolCallDelta,
    ToolUseBlock,
)


class Answer:
    """An answer put together from its events; whole once `closed` is set."""

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.text = ""
        self.thinking = ""
        self.signature = ""
        self._signed_by = ""  # the instance whose signature it is: to any other it means nothing
        self.tier = ""
        self.instance = ""
        self.model = ""
        self.seams: list[Seam] = []
        self._calls: dict[int, ToolUseBlock] = {}
        self._closed: Closed | None = None

    @property
    def closed(self) -> Closed:
        """How it ended; asked before the end it is a bug."""
        assert self._closed is not None, "the answer has not ended yet"
        return self._closed

    @property
    def is_closed(self) -> bool:
        """Whether its last event has come."""
        return self._closed is not None

    @property
    def tool_calls(self) -> tuple[ToolUseBlock, ...]:
        """The calls made so far, in order."""
        return tuple(self._calls[index] for index in sorted(self._calls))

    @property
    def content(self) -> tuple[Block, ...]:
        """The answer as canonical blocks: thinking, text, calls."""
        blocks: list[Block] = []
        if self.thinking or self.signature:  # a signature may come alone, and is wanted back with its call
            blocks.append(
                ThinkingBlock(
                    text=self.thinking, signature=self.signature, origin=self._signed_by or self.instance
                )
            )
        if self.text:
            blocks.append(TextBlock(text=self.text))
        return (*blocks, *self.tool_calls)

    def take(self, event: StreamEvent) -> Self:
        """Add an event."""
        match event:
            case TextDelta():
                self.text += event.text
            case Opened():
                self.tier = event.lane.tier.word
                self.instance, self.model = event.lane.instance, event.lane.offer.id
            case Closed():
                self._closed = event
            case ThinkingDelta():
                self.thinking += event.text
                if event.signature:
                    before = self.signature if self._signed_by == self.instance else ""
                    self.signature, self._signed_by = before + event.signature, self.instance
            case ToolCallDelta():
                known = self._calls.get(event.index)
                self._calls[event.index] = ToolUseBlock(
                    id=event.id or (known.id if known else ""),
                    name=event.name or (known.name if known else ""),
                    arguments=(known.arguments if known else "") + event.arguments,
                )
            case Joined():
                self.seams.append(event.seam)
                if event.seam.thinks_anew:
                    self.thinking = self.signature = self._signed_by = ""
                self.tier = event.seam.to_tier
                self.instance, _, self.model = event.seam.to_lane.partition("/")
        return self
