"""One answer being written into a conversation: its parts made durable as they come, its growth told to watchers."""

from collections.abc import Sequence

from legion_core.gateway.answer import Answer
from legion_core.gateway.conversation_types import (
    AnswerEnded,
    AnswerGrew,
    AnswerJoined,
    AnswerOpened,
    AnswerStarted,
    ChatMessage,
    ConversationChanged,
    MessageStatus,
    PassedOver,
)
from legion_core.gateway.conversations import AnswerRecord, Conversations
from legion_core.gateway.reading import Given
from legion_core.gateway.spoken import Spoken
from legion_core.gateway.types import (
    Attempt,
    Joined,
    LeftOut,
    Opened,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
)
from legion_core.kernel.errors import LegionError
from legion_core.kernel.events import EventBus

PART_CHARS = 512
PART_AGE_S = 0.25  # a killed process loses at most this much of an answer
PASSED_OVER_MAX = 200  # instances and reasons kept beside an answer


class AnswerWriter:
    """Carries one answer into the store and onto the bus; exactly one of `close` and `abandon` ends it."""

    def __init__(
        self,
        conversations: Conversations,
        spoken: Spoken,
        bus: EventBus,
        message: ChatMessage,
        given: Given | None = None,
    ) -> None:
        """`given` is what another process had written of it, as the first of its parts."""
        self._conversations = conversations
        self._spoken = spoken
        self._bus = bus
        self._message = message
        self._answer = Answer(message.request_id)
        self._part = 0
        self._telling = spoken.begin(message.id)
        if given is not None:
            self._answer.text, self._answer.thinking = given.text, given.thinking
            self._part = 1
        self.left_out: Sequence[LeftOut] | None = None
        """Who was not to be asked, as the router decided; looked at when the answer ends."""
        self._text_waiting = ""
        self._thinking_waiting = ""
        self._part_since_s = 0.0
        at_utc, at_mono_s = bus.stamp()
        bus.publish(AnswerStarted(at_utc=at_utc, at_mono_s=at_mono_s, message=message))
        self._tell_changed()

    def take(self, event: StreamEvent) -> None:
        """Keep and tell one event of the stream."""
        at_char = len(self._answer.text)
        self._answer.take(event)
        match event:
            case Opened():
                at_utc, at_mono_s = self._bus.stamp()
                self._bus.publish(
                    AnswerOpened(
                        at_utc=at_utc,
                        at_mono_s=at_mono_s,
                        conversation_id=self._message.conversation_id,
                        answer_id=self._message.id,
                        tier=event.lane.tier.word,
                        instance=event.lane.instance,
                        model=event.lane.offer.id,
                        attempts=event.attempts,
                    )
                )
            case TextDelta():
                self._spoken.keep(self._telling, text=event.text)
                self._text_waiting += event.text
                self._tell_grown(at_char, text=event.text, tokens=event.tokens)
                self._keep_part()
            case ThinkingDelta():
                self._spoken.keep(self._telling, thinking=event.text)
                self._thinking_waiting += event.text
                self._tell_grown(at_char, thinking=event.text)
                self._keep_part()
            case Joined():
                at_utc, at_mono_s = self._bus.stamp()
                self._bus.publish(
                    AnswerJoined(
                        at_utc=at_utc,
                        at_mono_s=at_mono_s,
                        conversation_id=self._message.conversation_id,
                        answer_id=self._message.id,
                        seam=event.seam,
                    )
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
            left_out=passed_over(self.left_out),
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
            left_out=passed_over(self.left_out),
            error=error.sentence() if error else "",
        )
        return await self._end(status, record)

    async def _end(self, status: MessageStatus, record: AnswerRecord) -> ChatMessage:
        try:
            message = await self._conversations.finish(
                self._message.id, self._answer.text, self._answer.content, status, record
            )
        finally:
            self._spoken.end(self._telling)
        at_utc, at_mono_s = self._bus.stamp()
        self._bus.publish(AnswerEnded(at_utc=at_utc, at_mono_s=at_mono_s, message=message))
        self._tell_changed()
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

    def _tell_grown(self, at_char: int, *, text: str = "", thinking: str = "", tokens: int = 0) -> None:
        at_utc, at_mono_s = self._bus.stamp()
        self._bus.publish(
            AnswerGrew(
                at_utc=at_utc,
                at_mono_s=at_mono_s,
                conversation_id=self._message.conversation_id,
                answer_id=self._message.id,
                at_char=at_char,
                text=text,
                thinking=thinking,
                tokens=tokens,
            )
        )

    def _tell_changed(self) -> None:
        at_utc, at_mono_s = self._bus.stamp()
        self._bus.publish(
            ConversationChanged(
                at_utc=at_utc, at_mono_s=at_mono_s, conversation_id=self._message.conversation_id
            )
        )


def passed_over(left_out: Sequence[LeftOut] | None) -> tuple[PassedOver, ...] | None:
    """As it is kept: the models of an instance that have the same reason together, in configured order."""
    if left_out is None:
        return None  # it never came to a decision
    found: dict[tuple[str, str, str, str], list[str]] = {}
    for entry in left_out:
        key = (entry.lane.tier.word, entry.lane.instance, entry.reason, entry.why)
        found.setdefault(key, []).append(entry.lane.offer.id)
    return tuple(
        PassedOver(tier=tier, instance=instance, models=tuple(models), reason=reason, why=why)
        for (tier, instance, reason, why), models in list(found.items())[:PASSED_OVER_MAX]
    )
