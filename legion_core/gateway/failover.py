"""One stream over many attempts: the client's stream is ours, a provider's attempt only feeds it.

Before the first byte a failed attempt is invisible: the next candidate is asked. After it, the answer goes on from its
exact text at a candidate that can continue one, else at one that is told to (`continuation`); the place is told as a
`Seam`. What of an attempt reaches the client, and when, is decided by `reading`.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

import msgspec

from legion_core.gateway.continuation import Asked, asked_of, is_whole_json
from legion_core.gateway.cost import cost_usd
from legion_core.gateway.next_lane import next_lane
from legion_core.gateway.outlet import Outlet, ShortWay
from legion_core.gateway.patience import Patience
from legion_core.gateway.providers.base import Counted, Provider, ReadyNow
from legion_core.gateway.providers.estimate import estimated_usage
from legion_core.gateway.reading import Given, Reading, Ready, joined
from legion_core.gateway.routing.health import Health, Ticket
from legion_core.gateway.traffic import Traffic
from legion_core.gateway.types import (
    Attempt,
    Chunk,
    Closed,
    Finished,
    Joined,
    Lane,
    Opened,
    Request,
    RouteDecision,
    Seam,
    StopReason,
    StreamEvent,
    Usage,
)
from legion_core.gateway.unanswered import exhausted, no_candidate
from legion_core.gateway.watchdog import Paces
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import (
    Bug,
    LegionError,
    LimitReached,
    Malformed,
    StreamBroken,
    TimedOut,
    Unavailable,
)


class Failover:
    """Runs the attempts of one request and keeps their record; `attempts` is complete when the stream ends."""

    def __init__(
        self,
        request: Request,
        decision: RouteDecision,
        providers: Mapping[str, Provider],
        health: Health,
        clock: Clock,
        traffic: Traffic | None = None,
        paces: Paces | None = None,
        extend: Callable[[Request, Lane], Awaitable[None]] | None = None,
        outlet: Outlet | None = None,
        given: Given | None = None,
    ) -> None:
        """`given` is what a killed process had told of the answer: it goes on behind that. `extend` is asked before each further attempt and raises LimitReached where there is no money for it.

        Where there is an `outlet`, most deltas go there and are no events of `stream`.
        """
        self._request = request
        self._decision = decision
        self._providers = providers
        self._health = health
        self._clock = clock
        self._traffic = traffic
        self._paces = paces or Paces()
        self._extend = extend
        self._outlet = outlet
        self._lanes = (*decision.candidates, *decision.spare)
        self._spare = {lane.name for lane in decision.spare}  # lanes whose circuit alone is in the way
        self._barred = set(self._spare)  # lanes that take no attempt of this request any more
        self._started_s = clock.monotonic_s()
        self._is_opened = False
        self._first_at_s: float | None = None
        # Since when the client waits for another lane: the one before, what happened to it, and that in a word.
        self._broke: tuple[str, str, str] | None = None
        self.attempts: list[Attempt] = []
        self.seams: list[Seam] = []
        self.given = given or Given()
        if not self.given.is_empty:
            self._broke = (
                "before",
                "The workbench stopped while this answer was being written.",
                "interrupted",
            )
        self.closed: Closed | None = None
        self._under_way: tuple[_Trial, Asked, Reading, AsyncIterator[Chunk]] | None = None

    @property
    def so_far(self) -> Sequence[Attempt]:
        """See `Asking`."""
        if self._under_way is None or self._under_way[0].first_s is None:
            return self.attempts
        trial, asked, reading, chunks = self._under_way
        trial.counted = _counted_by(chunks)
        usage = trial.usage(None, reading.tokens, asked)
        now_s = self._clock.monotonic_s()
        now = trial.told("interrupted", "The workbench stopped while it answered.", usage, now_s)
        return (*self.attempts, now)

    async def stream(self) -> AsyncGenerator[StreamEvent]:
        """The answer's events: one Opened, deltas, Joined at each seam, one Closed.

        Raises the last attempt's error if nothing was sent; after the first byte nothing is raised: the stream
        closes with stop reason `error` and a sentence.
        """
        claim = await self._claim(None, None)
        if claim is None and self._barred:
            raise Unavailable(
                "Every model that may answer this is resting after failures.", hint="Try again soon."
            )
        if claim is None and self._lanes:
            raise Unavailable(
                "No model that may answer this can go on with what was said.", hint="Ask once more."
            )
        if claim is None:
            raise no_candidate(self._request, self._decision.left_out)
        while True:
            error: LegionError | None = None
            lane, ticket = claim
            try:
                async with aclosing(self._attempt(lane, ticket)) as events:
                    async for event in events:
                        yield event
            except LegionError as caught:
                error = caught
            if error is None:
                return
            claim = await self._claim(error, lane)
            if claim is None:
                if not self._is_opened:
                    raise exhausted(self.attempts, error) from error
                yield self._closed("error", error=error)
                return
            if self._is_opened and self._broke is None:
                self._broke = lane.name, error.message, error.public_code

    async def _claim(self, error: LegionError | None, current: Lane | None) -> tuple[Lane, Ticket] | None:
        """The lane to try now and the right to; one that takes nothing since the decision is passed over."""
        if error is None and not self._barred and self.given.is_empty and self._lanes:
            first = self._lanes[0]  # which is what `next_lane` says, nearly always
            if (ticket := self._health.start(first.instance, self._clock.monotonic_s())) is not None:
                return first, ticket
        while True:
            open_lanes = [lane for lane in self._lanes if lane.name not in self._barred]
            has_text = self.given.chars > 0
            lane = self._next(open_lanes, error, has_text=has_text, current=current)
            if lane is None or lane.name in self._barred:
                return await self._spared(error, current)
            if not await self._can_pay(lane):
                self._barred.add(lane.name)
                continue
            ticket = self._health.start(lane.instance, self._clock.monotonic_s())
            if ticket is not None:
                return lane, ticket
            self._barred.add(lane.name)
            self._spare.add(lane.name)

    async def _can_pay(self, lane: Lane) -> bool:
        try:
            if self._extend is not None and (self.attempts or self._barred):
                await self._extend(self._request, lane)
        except LimitReached:
            return False
        return True

    async def _spared(self, error: LegionError | None, current: Lane | None) -> tuple[Lane, Ticket] | None:
        """Where nobody else is left: a lane whose circuit is open, but whose instance mostly answers."""
        while True:
            lanes = [lane for lane in self._lanes if lane.name in self._spare]
            lane = self._next(lanes, error, has_text=self.given.chars > 0, current=current)
            if lane is None or lane.name not in self._spare:
                return None
            ticket = None
            if await self._can_pay(lane):
                ticket = self._health.start(lane.instance, self._clock.monotonic_s(), is_spare=True)
            if ticket is not None:
                return lane, ticket
            self._spare.discard(lane.name)

    def _next(
        self, lanes: Sequence[Lane], error: LegionError | None, *, has_text: bool, current: Lane | None = None
    ) -> Lane | None:
        return next_lane(
            lanes,
            self.attempts,
            error,
            has_text=has_text,
            current=current,
            is_flaky=lambda lane: self._health.mostly_answers(lane.instance),
        )

    async def _attempt(self, lane: Lane, ticket: Ticket) -> AsyncGenerator[StreamEvent]:
        trial = self._begin(lane, ticket)
        asked = asked_of(lane, self._request, self.given.text, self.given.tokens)
        reading = Reading(self.given, asked.splice)
        patience = self._patience(lane)
        try:
            try:
                provider = self._providers.get(lane.instance)
                if provider is None:
                    raise Bug(f"The router chose {lane.instance!r}, which no provider serves.")
                async with provider.stream(asked.request, lane.offer.id, prefix=asked.prefix) as chunks:
                    more: ReadyNow = getattr(chunks, "ready", _nothing)
                    short = ShortWay(self._outlet, chunks, reading, patience, self.given)
                    self._under_way = trial, asked, reading, chunks
                    try:
                        while reading.finished is None and (first := await patience.next(chunks)) is not None:
                            if trial.first_s is None:
                                trial.first_s = self._clock.monotonic_s() - trial.start_s
                                self._health.answered(ticket)
                                if not self._is_opened:
                                    self._is_opened = True
                                    yield Opened(
                                        request_id=self._request.id, lane=lane, attempts=trial.number
                                    )
                            for chunk in self._as_told((first, *more())):
                                for ready in self._untaken(chunk, short, reading):
                                    if self._broke is not None:
                                        yield self._join(lane, asked, reading)
                                    self._give(ready)
                                    yield ready
                            if self._broke is None and self._first_at_s is not None:
                                short.open()
                    finally:
                        patience.close()
                        trial.counted = _counted_by(chunks)
                if reading.finished is None:
                    raise StreamBroken(f"{lane.name} ended its answer without saying so.")
                trial.outcome = "succeeded"
            except LegionError as error:
                trial.outcome, trial.error = error.public_code, error
                raise
            finally:
                self._end(trial, asked, reading)
            if self._broke is not None:
                yield self._join(lane, asked, reading)
            yield self._end_of_answer(reading.finished)
        finally:  # behind the answer's end: its client is told first
            self._tell_watchers(trial, reading.tokens)

    def _begin(self, lane: Lane, ticket: Ticket) -> "_Trial":
        now_s = self._clock.monotonic_s()
        trial = _Trial(lane, ticket, len(self.attempts) + 1, self._clock.utc_now(), now_s)
        if self._traffic is not None:
            self._traffic.began(self._request, lane, trial.number, (trial.at, now_s))
        return trial

    def _patience(self, lane: Lane) -> Patience:
        def may_give_up() -> bool:
            lanes = [each for each in self._lanes if each != lane]
            has_text = self.given.chars > 0
            return self._next(lanes, TimedOut(""), has_text=has_text) is not None

        return Patience(
            lane.name,
            self._paces.of(lane.name),
            has_tools=bool(self._request.tools),
            may_give_up=may_give_up,
        )

    def _end(self, trial: "_Trial", asked: Asked, reading: Reading) -> None:
        """Write the attempt down, however it ended."""
        self._under_way = None
        now_s = self._clock.monotonic_s()
        self._health.end(trial.ticket, trial.error, now_s, is_cancelled=trial.outcome == "cancelled")
        usage = trial.usage(reading.finished, reading.tokens, asked)
        why = trial.error.message if trial.error is not None else ""
        why = why or ("It went on by instruction: degraded." if asked.is_degraded else "")
        self.attempts.append(trial.told(trial.outcome, why, usage, now_s))

    def _tell_watchers(self, trial: "_Trial", tokens: int) -> None:
        if self._traffic is not None:
            self._traffic.ended(self._request, trial.lane, trial.number, trial.outcome, tokens)

    def _as_told(self, chunks: Sequence[Chunk]) -> Sequence[Chunk]:
        """What came at once is one piece for a client that is told the whole answer."""
        return chunks if self._request.stream else joined(chunks)

    def _untaken(self, chunk: Chunk, short: ShortWay, reading: Reading) -> Sequence[Ready]:
        """What of a chunk is to be told as events: nothing, where the short way took it."""
        if self._broke is not None or not short.takes(chunk):
            return reading.take(chunk)
        if not self.given.is_empty:
            self._begin_giving()
        return ()

    def _give(self, ready: Ready) -> None:
        self._begin_giving()
        self.given.take(ready)

    def _begin_giving(self) -> None:
        if self._first_at_s is None:
            self._first_at_s = self._clock.monotonic_s()

    def _join(self, lane: Lane, asked: Asked, reading: Reading) -> Joined:
        """Told when the first word of the other lane is there: only then it is known how it goes on."""
        assert self._broke is not None
        (before, why, outcome), self._broke = self._broke, None
        if reading.thinks_anew:
            self.given.think_anew()
        seam = Seam(
            at_char=self.given.chars,
            from_lane=before,
            to_lane=lane.name,
            to_tier=lane.tier.word,
            after_tokens=self.given.tokens,
            reason=why,
            outcome=outcome,
            is_degraded=asked.is_degraded,
            thinks_anew=reading.thinks_anew,
        )
        self.seams.append(seam)
        return Joined(seam=seam)

    def _end_of_answer(self, finished: Finished) -> Closed:
        """The end of an answer that succeeded: usage of all its attempts together."""
        is_whole = finished.stop_reason == "end_turn" and not self.given.has_calls
        if self.seams and is_whole and not is_whole_json(self._request.params, self.given.text):
            why = Malformed(
                "The answer broke off and was continued, but the whole is not the JSON asked for."
            )
            return self._closed("error", error=why)
        return self._closed(finished.stop_reason, stop_sequence=finished.stop_sequence)

    def _closed(
        self, stop_reason: StopReason, *, stop_sequence: str = "", error: LegionError | None = None
    ) -> Closed:
        costs = [attempt.cost_usd for attempt in self.attempts]
        known = [cost for cost in costs if cost is not None]
        first = self._first_at_s
        self.closed = Closed(
            stop_reason=stop_reason,
            stop_sequence=stop_sequence,
            usage=total_usage(self.attempts),
            cost_usd=sum(known) if len(known) == len(costs) else None,
            attempts=tuple(self.attempts),
            duration_s=self._clock.monotonic_s() - self._started_s,
            first_token_s=None if first is None else first - self._started_s,
            error="" if error is None else error.sentence(),
            error_code="" if error is None else error.public_code,
        )
        return self.closed


@dataclass(slots=True)
class _Trial:
    """One attempt under way."""

    lane: Lane
    ticket: Ticket
    number: int
    at: datetime
    start_s: float
    first_s: float | None = None
    outcome: str = "cancelled"
    error: LegionError | None = None
    counted: Usage | None = None  # by the provider, as far as it had told
    read_tokens: int | None = None  # what it was given to read, where it does not tell: estimated once

    def told(self, outcome: str, why: str, usage: Usage, now_s: float) -> Attempt:
        """The attempt as it is written down."""
        lane = self.lane
        return Attempt(
            number=self.number,
            tier=lane.tier.word,
            instance=lane.instance,
            model=lane.offer.id,
            outcome=outcome,
            why=why,
            usage=usage,
            cost_usd=cost_usd(usage, lane.offer.price, lane.tier),
            started_at=self.at,
            first_token_s=self.first_s,
            duration_s=now_s - self.start_s,
        )

    def usage(self, finished: Finished | None, tokens: int, asked: Asked) -> Usage:
        """What it is billed: the provider's own count, or where there is none the chunks that came.

        One that died before its first byte is billed nothing. One that died later is billed its input, as counted
        by the provider if it told so early, and what it had written.
        """
        if finished is not None:
            if not finished.usage.is_estimated:
                return finished.usage
            return msgspec.structs.replace(finished.usage, output_tokens=tokens)
        if self.first_s is None and self.counted is None:
            return Usage(is_estimated=True)
        if self.counted is None:
            if self.read_tokens is None:
                told = estimated_usage(asked.request, prefix=asked.prefix, output_chars=0)
                self.read_tokens = told.input_tokens
            return Usage(input_tokens=self.read_tokens, output_tokens=tokens, is_estimated=True)
        written = max(tokens, self.counted.output_tokens)
        return msgspec.structs.replace(self.counted, output_tokens=written, is_estimated=True)


def _nothing() -> Sequence[Chunk]:
    return ()


def _counted_by(chunks: AsyncIterator[Chunk]) -> Usage | None:
    counted: Counted | None = getattr(chunks, "counted", None)
    return counted() if counted is not None else None


def total_usage(attempts: Sequence[Attempt]) -> Usage:
    """What the answer took: the output of every attempt, the input of the last one that counted it."""
    answered = [attempt.usage for attempt in attempts if attempt.outcome == "succeeded"] or [
        attempt.usage for attempt in attempts
    ][-1:]
    last = answered[-1] if answered else Usage()
    return msgspec.structs.replace(
        last,
        output_tokens=sum(attempt.usage.output_tokens for attempt in attempts),
        is_estimated=any(attempt.usage.is_estimated for attempt in attempts if attempt.usage.output_tokens),
    )
