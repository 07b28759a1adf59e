"""Pure circuit breaker of one provider instance: three counted failures in 300 s open it for 60 s, then one probe.

    closed ──3rd failure within 300 s──▶ open ──60 s──▶ half_open ──probe succeeds──▶ closed
                                          ▲                 └──probe fails──▶ open

Source of the numbers: seed ("300s window, 3 failures trips the circuit, 60s cooldown").
"""

from typing import Literal

import msgspec

from legion_core.kernel.errors import (
    BadCredentials,
    ContextTooLong,
    Filtered,
    LegionError,
    ProviderError,
    RateLimited,
    Unsupported,
)

WINDOW_S = 300.0  # seed: health tracker
FAILURES_TO_OPEN = 3  # seed
COOLDOWN_S = 60.0  # seed

State = Literal["closed", "half_open", "open"]


class Circuit(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of one instance; all times are monotonic seconds.

    `resting_until_s` is the provider's own wish (429 with Retry-After); it is no failure.
    """

    failures: tuple[float, ...] = ()
    opened_at_s: float | None = None
    is_probing: bool = False
    resting_until_s: float | None = None
    is_tripped_by_hand: bool = False

    def state(self, now_s: float) -> State:
        """Closed, open, or half-open once the cooldown has passed."""
        if self.is_tripped_by_hand:
            return "open"
        if self.opened_at_s is not None:
            return "half_open" if now_s - self.opened_at_s >= COOLDOWN_S else "open"
        return "closed"

    def retry_in_s(self, now_s: float) -> float:
        """Seconds until a request may be tried again; 0 if now."""
        waits = [0.0]
        if self.opened_at_s is not None:
            waits.append(self.opened_at_s + COOLDOWN_S - now_s)
        if self.resting_until_s is not None:
            waits.append(self.resting_until_s - now_s)
        return max(waits)

    def admits(self, now_s: float) -> bool:
        """May a request go there now? Half-open admits exactly one at a time."""
        if self.resting_until_s is not None and now_s < self.resting_until_s:
            return False
        match self.state(now_s):
            case "closed":
                return True
            case "half_open":
                return not self.is_probing
            case "open":
                return False

    def recent_failures(self, now_s: float) -> int:
        """Counted failures inside the window, as the three pips show."""
        return min(FAILURES_TO_OPEN, sum(1 for at in self.failures if now_s - at <= WINDOW_S))

    def started(self, now_s: float) -> "Circuit":
        """A request goes there now."""
        if self.state(now_s) == "half_open":
            return msgspec.structs.replace(self, is_probing=True)
        return self

    def succeeded(self) -> "Circuit":
        """It answered: everything is forgotten, except a trip by hand."""
        return Circuit(is_tripped_by_hand=self.is_tripped_by_hand)

    def failed(self, now_s: float) -> "Circuit":
        """A counted failure."""
        recent = (*(at for at in self.failures if now_s - at <= WINDOW_S), now_s)[-FAILURES_TO_OPEN:]
        opens = self.state(now_s) == "half_open" or len(recent) >= FAILURES_TO_OPEN
        if self.opened_at_s is not None and self.state(now_s) == "open":
            return msgspec.structs.replace(self, failures=recent, is_probing=False)
        return msgspec.structs.replace(
            self, failures=recent, opened_at_s=now_s if opens else None, is_probing=False
        )

    def released(self) -> "Circuit":
        """The request ended with no verdict on the instance (cancelled, refused)."""
        return msgspec.structs.replace(self, is_probing=False)

    def rested(self, now_s: float, retry_after_s: float) -> "Circuit":
        """The provider asks for a pause."""
        return msgspec.structs.replace(self, is_probing=False, resting_until_s=now_s + retry_after_s)

    def tripped(self) -> "Circuit":
        """Opened by hand until reset by hand."""
        return msgspec.structs.replace(self, is_tripped_by_hand=True)


RATE_LIMIT_PAUSE_S = 10.0  # ours, where the provider names none
RATE_LIMIT_PAUSE_MAX_S = 600.0


def after_error(circuit: Circuit, error: LegionError, now_s: float) -> Circuit:
    """The circuit after an attempt that ended with `error`.

    Not counted: what the request itself caused (too long, unsupported, filtered), a wrong key (a state of its own:
    the request fails with its sentence), and a pause the provider asked for.
    """
    match error:
        case RateLimited():
            return circuit.rested(
                now_s, min(error.retry_after_s or RATE_LIMIT_PAUSE_S, RATE_LIMIT_PAUSE_MAX_S)
            )
        case BadCredentials() | ContextTooLong() | Filtered() | Unsupported():
            return circuit.released()
        case ProviderError():
            return circuit.failed(now_s)
        case _:
            return circuit.released()


class Health:
    """The circuits of all instances of a node, by instance name."""

    def __init__(self) -> None:
        self._circuits: dict[str, Circuit] = {}

    def of(self, instance: str) -> Circuit:
        """The instance's circuit; a fresh one if nothing is known."""
        return self._circuits.get(instance, Circuit())

    def set(self, instance: str, circuit: Circuit) -> bool:
        """Remember it; True if what a person would see of it changed."""
        before = self.of(instance)
        self._circuits[instance] = circuit
        return before != circuit

    def forget(self, instance: str) -> None:
        """Start afresh: closed, no failures."""
        self._circuits.pop(instance, None)

    def snapshot(self) -> dict[str, Circuit]:
        """All circuits now, for one routing decision."""
        return dict(self._circuits)
