"""One answer being written into a conversation: its parts made durable as they come, its growth told to watchers."""

from typing import Self

from legion_core.gateway.conversation_types import (
    AnswerEnded,
    AnswerGrew,
    AnswerJoined,
    AnswerStarted,
    ChatMessage,
    ConversationChanged,
    MessageStatus,
)
from legion_core.gateway.conversations import AnswerRecord, Conversations
from legion_core.gateway.types import (
    Attempt,
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
from legion_core.kernel.errors import LegionError
from legion_core.kernel.events import EventBus

PART_CHARS = 512
PART_AGE_S = 0.25  # a killed process loses at most this much of an answer


class Answer:
    """An answer put together from its events; whole once `closed` is set."""

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.text = ""
        self.thinking = ""
        self.signature = ""
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
        if self.thinking:
            blocks.append(ThinkingBlock(text=self.thinking, signature=self.signature, origin=self.instance))
        if self.text:
            blocks.append(TextBlock(text=self.text))
        return (*blocks, *self.tool_calls)

    def take(self, event: StreamEvent) -> Self:
        """Add an event."""
        match event:
            case Opened():
                self.tier = event.lane.tier.word
                self.instance, self.model = event.lane.instance, event.lane.offer.id
            case TextDelta():
                self.text += event.text
            case ThinkingDelta():
                self.thinking += event.text
                self.signature += event.signature
            case ToolCallDelta():
                known = self._calls.get(event.index)
                self._calls[event.index] = ToolUseBlock(
                    id=event.id or (known.id if known else ""),
                    name=event.name or (known.name if known else ""),
                    arguments=(known.arguments if known else "") + event.arguments,
                )
            case Joined():
                self.seams.append(event.seam)
                self.tier = event.seam.to_tier
                self.instance, _, self.model = event.seam.to_lane.partition("/")
            case Closed():
                self._closed = event
        return self


class AnswerWriter:
    """Carries one answer into the store and onto the bus; exactly one of `close` and `abandon` ends it."""

    def __init__(self, conversations: Conversations, bus: EventBus, message: ChatMessage) -> None:
        self._conversations = conversations
        self._bus = bus
        self._message = message
        self._answer = Answer(message.request_id)
        self._part = 0
        self._text_waiting = ""
        self._thinking_waiting = ""
        self._part_since_s = 0.0
        self._tell(AnswerStarted, message=message)
        self._tell(ConversationChanged, conversation_id=message.conversation_id)

    def take(self, event: StreamEvent) -> None:
        """Keep and tell one event of the stream."""
        at_char = len(self._answer.text)
        self._answer.take(event)
        match event:
            case TextDelta():
                self._text_waiting += event.text
                self._tell(
                    AnswerGrew,
                    conversation_id=self._message.conversation_id,
                    answer_id=self._message.id,
                    at_char=at_char,
                    text=event.text,
                    tokens=event.tokens,
                )
                self._keep_part()
            case ThinkingDelta():
                self._thinking_waiting += event.text
                self._tell(
                    AnswerGrew,
                    conversation_id=self._message.conversation_id,
                    answer_id=self._message.id,
                    at_char=at_char,
                    thinking=event.text,
                )
                self._keep_part()
            case Joined():
                self._tell(
                    AnswerJoined,
                    conversation_id=self._message.conversation_id,
                    answer_id=self._message.id,
                    seam=event.seam,
                )
            case _:
                pass

    async def close(self) -> ChatMessage:
        """Store the finished answer and tell that it ended."""
        closed = self._answer.closed
        status: MessageStatus = "failed" if closed.stop_reason == "error" else "complete"
        if closed.stop_reason == "cancelled":
            status = "stopped"
        record = AnswerRecord(
            request_id=self._answer.request_id,
            tier=self._answer.tier,
            instance=self._answer.instance,
            model=self._answer.model,
            usage=closed.usage,
            cost_usd=closed.cost_usd,
            first_token_s=closed.first_token_s,
            duration_s=closed.duration_s,
            attempts=closed.attempts,
            seams=tuple(self._answer.seams),
            error=closed.error,
        )
        return await self._end(status, record)

    async def abandon(
        self, status: MessageStatus, error: LegionError | None, attempts: tuple[Attempt, ...]
    ) -> ChatMessage:
        """Store what there is of an answer that was stopped, or failed before it closed."""
        last = attempts[-1] if attempts else None
        record = AnswerRecord(
            request_id=self._answer.request_id,
            tier=self._answer.tier,
            instance=self._answer.instance,
            model=self._answer.model,
            usage=last.usage if last else None,
            cost_usd=last.cost_usd if last else None,
            first_token_s=last.first_token_s if last else None,
            duration_s=sum(attempt.duration_s for attempt in attempts) if attempts else None,
            attempts=attempts,
            seams=tuple(self._answer.seams),
            error=error.sentence() if error else "",
        )
        return await self._end(status, record)

    async def _end(self, status: MessageStatus, record: AnswerRecord) -> ChatMessage:
        message = await self._conversations.finish(
            self._message.id, self._answer.text, self._answer.content, status, record
        )
        self._tell(AnswerEnded, message=message)
        self._tell(ConversationChanged, conversation_id=message.conversation_id)
        return message

    def _keep_part(self) -> None:
        _, now_s = self._bus.stamp()
        if self._part == 0 and not self._part_since_s:
            self._part_since_s = now_s
        is_due = len(self._text_waiting) + len(self._thinking_waiting) >= PART_CHARS
        if not is_due and now_s - self._part_since_s < PART_AGE_S:
            return
        self._conversations.grow(self._message.id, self._part, self._text_waiting, self._thinking_waiting)
        self._part += 1
        self._text_waiting = self._thinking_waiting = ""
        self._part_since_s = now_s

    def _tell(
        self,
        kind: type[AnswerStarted | AnswerGrew | AnswerJoined | AnswerEnded | ConversationChanged],
        **facts: object,
    ) -> None:
        at_utc, at_mono_s = self._bus.stamp()
        self._bus.publish(kind(at_utc=at_utc, at_mono_s=at_mono_s, **facts))  # pyright: ignore[reportArgumentType]
