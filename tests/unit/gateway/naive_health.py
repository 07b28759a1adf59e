"""The circuit of one instance as a written table, independent of the product: what every event does in every state.

    state       event                 what follows
    closed      start                 admitted
    closed      failure               remembered; the third within 300 s: open for 60 s
    closed      success               all failures forgotten
    open        start                 turned away
    open        60 s have passed      half-open
    half-open   start                 admitted as the probe, if there is none under way
    half-open   probe: failure        open for another 60 s
    half-open   probe: success        closed, all failures forgotten
    half-open   probe: anything else  half-open without a probe
    any         pause                 turned away until it is over; no failure
    any         trip, drain           turned away until reset
    any         end of an attempt that began before the circuit last opened, closed or was reset: nothing

A schedule is a random walk over these events; `disagreement` plays it on both and tells the first difference.
"""

from random import Random
from typing import Any

from legion_core.kernel.errors import BadCredentials, LegionError, RateLimited, Refused, TimedOut

OUTCOMES: dict[str, LegionError | None] = {
    "success": None,
    "failure": TimedOut("nothing came"),
    "pause": RateLimited("slow down", retry_after_s=20.0),
    "key_refused": BadCredentials("wrong key"),
    "none": Refused("no such model"),
    "cancelled": None,
}
# What the random walk waits: mostly little, and again and again exactly to an edge.
WAITS = (0.0, 0.5, 1.0, 7.0, 20.0, 59.9, 60.0, 60.1, 100.0, 299.9, 300.0, 300.1)


class Table:
    """The reference: it remembers every failure for ever and works everything out anew."""

    def __init__(self) -> None:
        self.failures: list[float] = []
        self.open_since: float | None = None
        self.probe: int | None = None
        self.paused_until = -1.0
        self.by_hand: set[str] = set()
        self.chapter = 0
        self.began_in: dict[int, int] = {}

    def word(self, now: float) -> str:
        if "trip" in self.by_hand:
            return "open"
        if self.open_since is None:
            return "closed"
        return "open" if now < self.open_since + 60.0 else "half_open"

    def admits(self, now: float) -> bool:
        if self.by_hand or now < self.paused_until:
            return False
        return {"closed": True, "open": False, "half_open": self.probe is None}[self.word(now)]

    def start(self, number: int, now: float) -> None:
        if self.word(now) == "half_open":
            self.probe = number
        self.began_in[number] = self.chapter

    def end(self, number: int, outcome: str, now: float) -> None:
        if self.began_in.pop(number) != self.chapter:
            return
        was_probe, self.probe = self.probe == number, None if self.probe == number else self.probe
        if outcome == "pause":
            self.paused_until = max(self.paused_until, now + 20.0)
        elif outcome == "success":
            self.failures = []
            if was_probe:
                self.open_since, self.chapter = None, self.chapter + 1
        elif outcome == "failure":
            self.failures.append(now)
            in_window = sum(1 for at in self.failures if now - at <= 300.0)
            if was_probe or in_window >= 3:
                self.open_since, self.chapter = now, self.chapter + 1

    def reset(self) -> None:
        self.failures, self.open_since, self.probe, self.paused_until = [], None, None, -1.0
        self.by_hand, self.chapter = set(), self.chapter + 1


def disagreement(health_class: Any, ticket_class: Any, rng: Random) -> str:
    """The first difference of a random schedule of 40 events; empty where there is none."""
    health, table, now = health_class(), Table(), 0.0
    tickets: dict[int, Any] = {}
    weights = rng.choice([(5, 5, 4, 0, 0, 0), (6, 4, 6, 1, 1, 1), (3, 6, 8, 0, 0, 1)])
    for number in range(40):
        event = rng.choices(("start", "end", "wait", "trip", "drain", "reset"), weights)[0]
        if event == "start":
            ticket, expected = health.start("box", now), table.admits(now)
            if (ticket is not None) != expected:
                return f"event {number}: admitted {ticket is not None}, the table says {expected}"
            if ticket is not None:
                assert isinstance(ticket, ticket_class)
                table.start(number, now)
                tickets[number] = ticket
        elif event == "end" and tickets:
            which = rng.choice(sorted(tickets))
            outcome = rng.choices(tuple(OUTCOMES), (4, 8, 1, 1, 1, 1))[0]
            health.end(tickets.pop(which), OUTCOMES[outcome], now, is_cancelled=outcome == "cancelled")
            table.end(which, outcome, now)
        elif event == "wait":
            now += rng.choice(WAITS)
        elif event in ("trip", "drain"):
            before = health.of("box")
            health.set("box", before.tripped() if event == "trip" else before.drained())
            table.by_hand.add(event)
        elif event == "reset":
            health.reset("box")
            table.reset()
        circuit = health.of("box")
        seen = (circuit.state(now), circuit.admits(now), health.in_flight("box"))
        expected_now = (table.word(now), table.admits(now), len(tickets))
        if seen != expected_now:
            return f"event {number} {event}: {seen}, the table says {expected_now}"
    return ""
