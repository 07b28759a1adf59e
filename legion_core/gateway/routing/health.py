"""Pure health of provider instances: three counted failures in 300 s open a circuit for 60 s, then one probe.

    closed ──3rd failure within 300 s──▶ open ──60 s──▶ half_open ──probe succeeds──▶ closed
                                          ▲                 └──probe fails──▶ open

Source of the numbers: seed ("300s window, 3 failures trips the circuit, 60s cooldown"). What each error counts as is
`verdict_of`. `Health` hands out a ticket for each attempt, because only the moment of starting may decide who is the
probe, and because the verdict of an attempt begun before the circuit last changed says nothing about it now.
"""

import math
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from legion_core.kernel.errors import (
    BadCredentials,
    LegionError,
    Malformed,
    ProviderError,
    RateLimited,
    Refused,
)

WINDOW_S = 300.0  # seed: health tracker
FAILURES_TO_OPEN = 3  # seed
COOLDOWN_S = 60.0  # seed
RATE_LIMIT_PAUSE_S = 10.0  # ours, where the provider names none; doubled each time in a row
RATE_LIMIT_PAUSE_MAX_S = 600.0
# Of an instance's latest first words and ends, about twenty: where more than so many were good it is flaky, not dead.
MOSTLY = 0.5
LATEST = 20
DOUBT = 10  # what an instance nobody knows has failed already
JITTER = 0.1  # a wait is lengthened by up to a tenth, so that many who wait do not come back at once

State = Literal["closed", "half_open", "open"]
Verdict = Literal["success", "failure", "pause", "key_refused", "none"]


class Circuit(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of one instance; all times are monotonic seconds.

    `resting_until_s` is the provider's own wish (429 with Retry-After); it is no failure. `epoch` counts how often the
    circuit opened, closed or was reset. `key_problem` is what the provider said when it refused the key: requests
    still go there, because a wrong key must be heard of and must not send them to a dearer tier.
    """

    failures: tuple[float, ...] = ()
    opened_at_s: float | None = None
    cooldown_s: float = COOLDOWN_S
    is_probing: bool = False
    resting_until_s: float | None = None
    pauses: int = 0  # in a row, for which the provider named no time
    is_tripped_by_hand: bool = False
    is_draining: bool = False
    key_problem: str = ""
    epoch: int = 0

    def state(self, now_s: float) -> State:
        """Closed, open, or half-open once the cooldown has passed."""
        if self.is_tripped_by_hand:
            return "open"
        if self.opened_at_s is not None:
            # In the words of `retry_in_s`, so that both turn at the same instant, whatever floats make of a sum.
            return "half_open" if now_s >= self.opened_at_s + self.cooldown_s else "open"
        return "closed"

    def retry_in_s(self, now_s: float) -> float:
        """Seconds until a request may be tried again; 0 if now. A trip by hand and a drain end by hand only."""
        waits = [0.0]
        if self.opened_at_s is not None:
            waits.append(self.opened_at_s + self.cooldown_s - now_s)
        if self.resting_until_s is not None:
            waits.append(self.resting_until_s - now_s)
        return max(waits)

    def admits(self, now_s: float) -> bool:
        """May a request go there now? Half-open admits exactly one at a time."""
        if self.is_draining or (self.resting_until_s is not None and now_s < self.resting_until_s):
            return False
        match self.state(now_s):
            case "closed":
                return True
            case "half_open":
                return not self.is_probing
            case "open":
                return False

    @property
    def may_bar(self) -> bool:
        """Whether there is any moment at which it would not admit a request."""
        return (
            self.opened_at_s is not None
            or self.is_tripped_by_hand
            or self.is_draining
            or self.resting_until_s is not None
        )

    def recent_failures(self, now_s: float) -> int:
        """Counted failures inside the window, as the three pips show."""
        return min(FAILURES_TO_OPEN, sum(1 for at in self.failures if now_s - at <= WINDOW_S))

    def started(self, now_s: float) -> "Circuit":
        """A request goes there now."""
        if self.state(now_s) == "half_open":
            return msgspec.structs.replace(self, is_probing=True)
        return self

    def succeeded(self, now_s: float = math.inf) -> "Circuit":
        """It answered: all is forgotten, except what was done by hand and a pause that was asked of a later request."""
        until_s = self.resting_until_s
        return Circuit(
            resting_until_s=until_s if until_s is not None and until_s > now_s else None,
            is_tripped_by_hand=self.is_tripped_by_hand,
            is_draining=self.is_draining,
            epoch=self.epoch + (self.opened_at_s is not None),
        )

    def failed(self, now_s: float, chance: float = 0.0) -> "Circuit":
        """A counted failure. `chance` in [0, 1) lengthens the cooldown after a probe that failed."""
        recent = (*(at for at in self.failures if now_s - at <= WINDOW_S), now_s)[-FAILURES_TO_OPEN:]
        if self.opened_at_s is not None:
            if now_s < self.opened_at_s + self.cooldown_s:
                return msgspec.structs.replace(self, failures=recent, is_probing=False)
            cooldown_s = COOLDOWN_S * (1 + JITTER * chance)
        elif len(recent) < FAILURES_TO_OPEN:
            return msgspec.structs.replace(self, failures=recent, is_probing=False)
        else:
            cooldown_s = COOLDOWN_S
        return msgspec.structs.replace(
            self,
            failures=recent,
            opened_at_s=now_s,
            cooldown_s=cooldown_s,
            is_probing=False,
            epoch=self.epoch + 1,
        )

    def released(self) -> "Circuit":
        """The request ended with no verdict on the instance (cancelled, refused)."""
        return msgspec.structs.replace(self, is_probing=False)

    def rested(self, now_s: float, retry_after_s: float | None, chance: float = 0.0) -> "Circuit":
        """The provider asks for a pause of so many seconds; None: it named none, so that ours grows each time."""
        wait_s = RATE_LIMIT_PAUSE_S * 2.0 ** min(self.pauses, 8) if retry_after_s is None else retry_after_s
        until_s = now_s + min(wait_s, RATE_LIMIT_PAUSE_MAX_S) * (1 + JITTER * chance)
        return msgspec.structs.replace(
            self,
            is_probing=False,
            # A request begun earlier may be told of a shorter pause than one known already.
            resting_until_s=max(until_s, self.resting_until_s or until_s),
            pauses=self.pauses + 1 if retry_after_s is None else 0,
        )

    def key_refused(self, problem: str) -> "Circuit":
        """The provider refused the key, in these words."""
        return msgspec.structs.replace(self, is_probing=False, key_problem=problem)

    def tripped(self) -> "Circuit":
        """Opened by hand until reset by hand."""
        return msgspec.structs.replace(self, is_tripped_by_hand=True)

    def drained(self) -> "Circuit":
        """What runs there may finish; nothing new goes there until it is reset by hand."""
        return msgspec.structs.replace(self, is_draining=True)


def verdict_of(error: LegionError | None) -> Verdict:
    """What an attempt that ended with `error` (None: well) says about its instance.

    Not counted: what the request itself caused (too long, unsupported, filtered, an unknown model), a wrong key (a
    state of its own), and a pause the provider asked for.
    """
    match error:
        case None:
            return "success"
        case RateLimited():
            return "pause"
        case BadCredentials():
            return "key_refused"
        case Malformed():
            return "none" if error.is_request else "failure"
        case Refused():
            return "none"
        case ProviderError():
            return "failure"
        case _:
            return "none"


def after_error(circuit: Circuit, error: LegionError | None, now_s: float, chance: float = 0.0) -> Circuit:
    """The circuit after an attempt that ended with `error`; None: well."""
    match verdict_of(error):
        case "success":
            return circuit.succeeded(now_s)
        case "failure":
            return circuit.failed(now_s, chance)
        case "pause":
            assert isinstance(error, RateLimited)
            return circuit.rested(now_s, error.retry_after_s, chance)
        case "key_refused":
            assert error is not None
            return circuit.key_refused(error.message)
        case "none":
            return circuit.released()


class Ticket(msgspec.Struct, frozen=True):
    """The right to send one attempt to an instance; goes back exactly once, by `Health.end`."""

    instance: str
    epoch: int
    is_probe: bool


class Health:
    """The circuits of all instances of a node, by instance name, and how many attempts each has under way."""

    def __init__(
        self,
        on_change: Callable[[str], None] = lambda _: None,
        chance: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`on_change` is told the instance whose circuit a person would see change; `chance` is drawn for jitter."""
        self._on_change = on_change
        self._chance = chance
        self._circuits: dict[str, Circuit] = {}
        self._barring: dict[str, Circuit] = {}
        self._in_flight: dict[str, int] = {}
        # The share of first words that came and of attempts that ended well, smoothed, and how many there were.
        self._answering: dict[str, tuple[float, int]] = {}

    def start(self, instance: str, now_s: float, *, is_spare: bool = False) -> Ticket | None:
        """A ticket for one attempt that begins now; None if the instance takes none at this moment.

        To be asked at the attempt's own beginning: since the routing decision its circuit may have opened, or another
        request may have become the probe. `is_spare`: nobody else can answer, so one that is open may, if it is `spare`.
        """
        before = self._circuits.get(instance)
        if before is None:  # nothing was ever wrong there
            self._in_flight[instance] = self._in_flight.get(instance, 0) + 1
            return Ticket(instance, 0, is_probe=False)
        if before.admits(now_s):
            after = before.started(now_s)
        elif is_spare and self._is_spare(instance, before, now_s):
            after = before
        else:
            return None
        self.set(instance, after)
        self._in_flight[instance] = self.in_flight(instance) + 1
        return Ticket(instance, after.epoch, is_probe=after is not before and after.is_probing)

    def answered(self, ticket: Ticket) -> None:
        """The attempt has its first word: whatever becomes of it, the instance is there."""
        self._learn(ticket.instance, "success")

    def end(
        self, ticket: Ticket, error: LegionError | None, now_s: float, *, is_cancelled: bool = False
    ) -> None:
        """The attempt ended: well (`error` None), with `error`, or by its client (`is_cancelled`, no verdict)."""
        self._in_flight[ticket.instance] = max(0, self.in_flight(ticket.instance) - 1)
        if not is_cancelled:
            self._learn(ticket.instance, verdict_of(error))
        before = self._circuits.get(ticket.instance)
        if before is None:
            if error is None or is_cancelled:
                return  # as it was
            before = Circuit()
        if before.epoch != ticket.epoch:
            return
        if is_cancelled:
            after = before.released() if ticket.is_probe else before
        else:
            after = after_error(before, error, now_s, self._chance() if error is not None else 0.0)
        self.set(ticket.instance, after)

    def mostly_answers(self, instance: str) -> bool:
        """Whether most of its latest attempts had their first word and ended well; one that nobody knows did not."""
        return self._answering.get(instance, (0.0, 0))[0] > MOSTLY

    def spare(self, now_s: float) -> frozenset[str]:
        """Instances whose circuit is open, but that mostly answer: better than nobody.

        None of them was tripped by hand, drains, or was asked to be left alone by its provider.
        """
        return frozenset(
            name for name, circuit in self._barring.items() if self._is_spare(name, circuit, now_s)
        )

    def _is_spare(self, instance: str, circuit: Circuit, now_s: float) -> bool:
        is_left_alone = circuit.resting_until_s is not None and now_s < circuit.resting_until_s
        return not (
            circuit.is_tripped_by_hand or circuit.is_draining or is_left_alone
        ) and self.mostly_answers(instance)

    def _learn(self, instance: str, verdict: Verdict) -> None:
        if verdict not in ("success", "failure"):
            return
        share, count = self._answering.get(instance, (0.0, 0))
        share += ((verdict == "success") - share) / min(count + DOUBT + 1, LATEST)
        self._answering[instance] = share, count + 1

    def of(self, instance: str) -> Circuit:
        """The instance's circuit; a fresh one if nothing is known."""
        return self._circuits.get(instance) or Circuit()

    def in_flight(self, instance: str) -> int:
        """Attempts under way there."""
        return self._in_flight.get(instance, 0)

    def set(self, instance: str, circuit: Circuit) -> bool:
        """Remember it; True if anything of it changed."""
        if (before := self.of(instance)) == circuit:
            return False
        self._circuits[instance] = circuit
        if circuit.may_bar:
            self._barring[instance] = circuit
        else:
            self._barring.pop(instance, None)
        if msgspec.structs.replace(before, epoch=circuit.epoch) != circuit:
            self._on_change(instance)
        return True

    def reset(self, instance: str) -> None:
        """Closed, no failures, neither tripped nor draining; attempts under way no longer count."""
        self._answering.pop(instance, None)
        self.set(instance, Circuit(epoch=self.of(instance).epoch + 1))

    def forget(self, instance: str) -> None:
        """As `reset`: of an instance that is removed only its count of openings stays."""
        self.reset(instance)

    def snapshot(self) -> Mapping[str, Circuit]:
        """The circuits that may keep a request away, for one routing decision; all others admit everything."""
        return dict(self._barring)
