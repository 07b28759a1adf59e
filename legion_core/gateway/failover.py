"""One stream over many attempts: the client's stream is ours, a provider's attempt only feeds it.

Before the first byte a failed attempt is invisible: the next candidate is asked. After it, the answer goes on
from its exact text at the next candidate that can continue a prefix; the place is told as a `Seam`. A tool call is
whole or absent, so an attempt that dies inside or after one is never continued elsewhere.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing

import msgspec

from legion_core.gateway.providers.base import Provider
from legion_core.gateway.routing.health import Circuit, Health, after_error
from legion_core.gateway.traffic import Traffic
from legion_core.gateway.types import (
    Attempt,
    Chunk,
    Closed,
    Finished,
    Joined,
    Lane,
    LeftOut,
    Opened,
    Price,
    Request,
    RouteDecision,
    Seam,
    StopReason,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    Usage,
)
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import (
    BadCredentials,
    Bug,
    ContextTooLong,
    Filtered,
    LegionError,
    NotFound,
    ProviderError,
    StreamBroken,
    Unavailable,
    WorkerDied,
)

ATTEMPTS_MAX = 4  # enough for a way out, too few for a retry storm: at most 4 a request …
ATTEMPTS_PER_LANE_MAX = 2  # … and 2 an instance
CHARS_PER_TOKEN = 4


def cost_usd(usage: Usage, price: Price | None, tier: int) -> float | None:
    """What `usage` costs; None if the price is unknown. What runs on one's own machines (tiers 0 to 2) costs nothing."""
    if price is None:
        return 0.0 if tier <= 2 else None
    read = price.cache_read if price.cache_read is not None else price.input
    write = price.cache_write if price.cache_write is not None else price.input
    return (
        usage.input_tokens * price.input
        + usage.cache_read_tokens * read
        + usage.cache_write_tokens * write
        + usage.output_tokens * price.output
    ) / 1_000_000


class Delivered(msgspec.Struct, kw_only=True):
    """What the client has been given so far."""

    text: str = ""
    tokens: int = 0
    is_opened: bool = False
    has_tool_call: bool = False
    first_at_s: float | None = None

    def take(self, chunk: Chunk, now_s: float) -> None:
        """Count a chunk that is about to go out."""
        if self.first_at_s is None:
            self.first_at_s = now_s
        match chunk:
            case TextDelta():
                self.text += chunk.text
                self.tokens += chunk.tokens or max(1, len(chunk.text) // CHARS_PER_TOKEN)
            case ThinkingDelta():
                self.tokens += max(1, len(chunk.text) // CHARS_PER_TOKEN)
            case ToolCallDelta():
                self.has_tool_call = True
            case Finished():
                pass


class Failover:
    """Runs the attempts of one request and keeps their record; `attempts` is complete when the stream ends."""

    def __init__(
        self,
        request: Request,
        decision: RouteDecision,
        providers: Mapping[str, Provider],
        health: Health,
        clock: Clock,
        on_health: Callable[[str], None],
        traffic: Traffic | None = None,
    ) -> None:
        self._request = request
        self._decision = decision
        self._providers = providers
        self._health = health
        self._clock = clock
        self._on_health = on_health
        self._traffic = traffic
        self._started_s = clock.monotonic_s()
        self.attempts: list[Attempt] = []
        self.seams: list[Seam] = []
        self.delivered = Delivered()
        self.closed: Closed | None = None

    async def stream(self) -> AsyncGenerator[StreamEvent]:
        """The answer's events: one Opened, deltas, Joined at each seam, one Closed.

        Raises the last attempt's error if nothing was sent; after the first byte nothing is raised: the stream
        closes with stop reason `error` and a sentence.
        """
        lane = next_lane(self._decision.candidates, self.attempts, None, self.delivered)
        if lane is None:
            raise no_candidate(self._request, self._decision.left_out)
        while True:
            error: LegionError | None = None
            try:
                async with aclosing(self._attempt(lane)) as events:
                    async for event in events:
                        yield event
            except LegionError as caught:
                error = caught
            if error is None:
                return
            following = next_lane(self._decision.candidates, self.attempts, error, self.delivered, lane)
            if following is None:
                if not self.delivered.is_opened:
                    raise exhausted(self.attempts, error) from error
                yield self._close_with(error)
                return
            if self.delivered.is_opened:
                yield self._join(lane, following, error)
            lane = following

    async def _attempt(self, lane: Lane) -> AsyncGenerator[StreamEvent]:
        now = self._clock.utc_now()
        start_s = self._clock.monotonic_s()
        provider = self._providers.get(lane.instance)
        if provider is None:
            raise Bug(f"The router chose {lane.instance!r}, which no provider serves.")
        self._note(lane, self._health.of(lane.instance).started(start_s))
        number = len(self.attempts) + 1
        if self._traffic is not None:
            self._traffic.began(self._request, lane, number)
        before = Delivered(tokens=self.delivered.tokens)
        first_s: float | None = None
        outcome, why, usage = "cancelled", "", Usage(is_estimated=True)
        finished: Finished | None = None
        try:
            async with provider.stream(self._request, lane.offer.id, prefix=self.delivered.text) as chunks:
                async for chunk in chunks:
                    now_s = self._clock.monotonic_s()
                    if first_s is None:
                        first_s = now_s - start_s
                    if not self.delivered.is_opened:
                        self.delivered.is_opened = True
                        yield Opened(request_id=self._request.id, lane=lane, attempts=len(self.attempts) + 1)
                    self.delivered.take(chunk, now_s)
                    if isinstance(chunk, Finished):
                        finished = chunk
                        break
                    yield chunk
            if finished is None:
                raise StreamBroken(f"{lane.name} ended its answer without saying so.")
            outcome, usage = "succeeded", finished.usage
            self._note(lane, self._health.of(lane.instance).succeeded())
        except LegionError as error:
            outcome, why = error.public_code, error.message
            self._note(lane, after_error(self._health.of(lane.instance), error, self._clock.monotonic_s()))
            raise
        finally:
            if outcome == "cancelled":
                self._note(lane, self._health.of(lane.instance).released())
            if outcome != "succeeded":
                usage = self._estimate(before.tokens, is_sent=first_s is not None)
            self.attempts.append(
                Attempt(
                    number=number,
                    tier=lane.tier.word,
                    instance=lane.instance,
                    model=lane.offer.id,
                    outcome=outcome,
                    why=why,
                    usage=usage,
                    cost_usd=cost_usd(usage, lane.offer.price, lane.tier),
                    started_at=now,
                    first_token_s=first_s,
                    duration_s=self._clock.monotonic_s() - start_s,
                )
            )
            if self._traffic is not None:
                self._traffic.ended(
                    self._request, lane, number, outcome, self.delivered.tokens - before.tokens
                )
        yield self._close(finished)

    def _estimate(self, tokens_before: int, *, is_sent: bool) -> Usage:
        """What an attempt that died is likely to be billed for: the input if it answered at all, and its part of the text."""
        if not is_sent:
            return Usage(is_estimated=True)
        return Usage(
            input_tokens=self._decision.estimated_tokens,
            output_tokens=self.delivered.tokens - tokens_before,
            is_estimated=True,
        )

    def _note(self, lane: Lane, circuit: Circuit) -> None:
        if self._health.set(lane.instance, circuit):
            self._on_health(lane.instance)

    def _join(self, lane: Lane, following: Lane, error: LegionError) -> Joined:
        seam = Seam(
            at_char=len(self.delivered.text),
            from_lane=lane.name,
            to_lane=following.name,
            to_tier=following.tier.word,
            after_tokens=self.delivered.tokens,
            reason=error.message,
        )
        self.seams.append(seam)
        return Joined(seam=seam)

    def _close(self, finished: Finished) -> Closed:
        """The end of an answer that succeeded: usage of all its attempts together."""
        return self._closed(finished.stop_reason, stop_sequence=finished.stop_sequence)

    def _close_with(self, error: LegionError) -> Closed:
        return self._closed("error", error=error.sentence(), error_code=error.public_code)

    def _closed(
        self, stop_reason: StopReason, *, stop_sequence: str = "", error: str = "", error_code: str = ""
    ) -> Closed:
        costs = [attempt.cost_usd for attempt in self.attempts]
        known = [cost for cost in costs if cost is not None]
        first = self.delivered.first_at_s
        self.closed = Closed(
            stop_reason=stop_reason,
            stop_sequence=stop_sequence,
            usage=total_usage(self.attempts),
            cost_usd=sum(known) if len(known) == len(costs) else None,
            attempts=tuple(self.attempts),
            duration_s=self._clock.monotonic_s() - self._started_s,
            first_token_s=None if first is None else first - self._started_s,
            error=error,
            error_code=error_code,
        )
        return self.closed


def next_lane(
    candidates: Sequence[Lane],
    attempts: Sequence[Attempt],
    error: LegionError | None,
    delivered: Delivered,
    current: Lane | None = None,
) -> Lane | None:
    """The lane to try now, or None to give up. Pure."""
    if len(attempts) >= ATTEMPTS_MAX or (error is not None and not _may_go_on(error)):
        return None
    if delivered.has_tool_call:
        return None
    # A child process that died is started afresh: its own lane is the nearest that can continue.
    if (
        isinstance(error, WorkerDied)
        and current is not None
        and _tries(attempts, current) < ATTEMPTS_PER_LANE_MAX
    ) and (not delivered.text or current.offer.continuation in ("native", "prefill")):
        return current
    for lane in candidates:
        if _tries(attempts, lane) > 0:
            continue
        if delivered.text and not _can_continue(lane):
            continue
        # A wrong key must not send the request to a dearer tier by itself.
        if isinstance(error, BadCredentials) and current is not None and lane.tier > current.tier:
            continue
        return lane
    return None


def _may_go_on(error: LegionError) -> bool:
    if isinstance(error, Filtered):
        return False
    return isinstance(error, ProviderError)


def _can_continue(lane: Lane) -> bool:
    return lane.offer.continuation in ("native", "prefill")


def _tries(attempts: Sequence[Attempt], lane: Lane) -> int:
    return sum(
        1 for attempt in attempts if (attempt.instance, attempt.model) == (lane.instance, lane.offer.id)
    )


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


def no_candidate(request: Request, left_out: Sequence[LeftOut]) -> LegionError:
    """Why no lane may answer, as the error a client gets."""
    pins = request.pins
    reasons = {item.reason for item in left_out}
    if not left_out:
        return Unavailable(
            "No model is set up: there is no model file here and no provider is configured.",
            hint="Run `make run` once more to fetch the starter model, or add a provider on the Models page.",
        )
    if reasons == {"pin"}:
        wanted = pins.model or pins.instance or (pins.tier.word if pins.tier is not None else "")
        known = sorted({item.lane.offer.id for item in left_out})
        return NotFound(
            f"No model or instance goes by {wanted!r} here.",
            hint=f"Known models: {', '.join(known[:8])}; or use auto.",
        )
    unpinned = [item for item in left_out if item.reason != "pin"]
    if all(item.reason == "context" for item in unpinned):
        return ContextTooLong(
            f"The request is too long: {unpinned[-1].why}.",
            hint="Shorten it, start a new chat, or add a model with a larger context.",
            limit=max(item.lane.offer.context for item in unpinned),
        )
    told = "; ".join(f"{item.lane.name}: {item.why.lower()}" for item in unpinned[:4])
    return Unavailable(
        f"No model may answer this: {told}.", hint="`legion route explain` shows every candidate."
    )


def exhausted(attempts: Sequence[Attempt], last: LegionError) -> LegionError:
    """The error to raise when every attempt failed before its first byte: the last one, or all of them told together."""
    if len(attempts) <= 1 or not isinstance(last, ProviderError):
        return last
    told = "; ".join(f"{attempt.instance}: {attempt.why}" for attempt in attempts)
    return Unavailable(f"No model could answer after {len(attempts)} attempts: {told}", hint=last.hint)
