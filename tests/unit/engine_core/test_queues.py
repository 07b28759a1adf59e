"""The places of a process: never more than there are, and no look into a queue for nothing."""

import msgspec

from legion_core.engine.journal import NO_RETRY, Lease
from legion_core.engine.queues import Queues

LEASE = Lease(
    n=1, id="t", task="a.b.c", args=b"{}", queue="a", priority=0, attempt=1, effect="plain", retry=NO_RETRY,
    fencing=1, submitter="s", is_redelivered=False, timeout_s=None, who="w", parent="", root="t", run="", node="",
    key="", depth=0, created_ms=1, started_ms=1,
)  # fmt: skip
SUSPECT = msgspec.structs.replace(LEASE, attempt=3, is_redelivered=True)


def queues(a: int = 2, b: int = 1, stuck: int = 0) -> Queues:
    return Queues({"a": a, "b": b}, lambda queue: stuck if queue == "a" else 0)


def test_a_new_task_is_held_while_there_is_a_place_and_nobody_waits() -> None:
    here = queues()
    assert [here.hold("a") for _ in range(3)] == [True, True, False]
    here.give("a")
    assert here.hold("a")
    here.give("a")
    here.hint("a")
    assert not here.hold("a")  # another was here before


def test_a_queue_that_was_found_empty_is_not_looked_into_again_before_there_is_a_reason() -> None:
    here = queues()
    here.hint_all()
    claims = here.claims()
    assert (claims.counts, here.wants) == ({"a": 2, "b": 1}, False)
    here.found(claims, {"a": [LEASE]})
    assert not here.wants
    assert here.claims().counts == {}
    here.hint("a")
    assert here.claims().counts == {"a": 1}


def test_what_came_while_a_claim_was_written_is_looked_for_again() -> None:
    here = queues()
    here.hint("a")
    claims = here.claims()
    here.hint("a")
    here.found(claims, {})
    assert here.wants
    assert here.claims().counts == {"a": 2}


def test_a_full_queue_stays_wanted_until_a_task_is_over() -> None:
    here = queues(a=1)
    here.hint("a")
    here.found(here.claims(), {"a": [LEASE]})
    assert not here.wants  # there is no place
    here.over(LEASE)
    assert here.wants


def test_a_claim_that_was_not_written_leaves_everything_as_it_was() -> None:
    here = queues()
    here.hint("b")
    for _ in range(3):
        claims = here.claims()
        assert (claims.counts, claims.with_suspect) == ({"b": 1}, True)
        here.dropped(claims)


def test_one_suspect_at_a_time_is_asked_for() -> None:
    here = queues(a=3)
    here.hint_all()
    first = here.claims()
    here.hint("a")
    assert first.with_suspect
    here.found(first, {"a": [SUSPECT]})
    second = here.claims()
    assert (second.counts["a"], second.with_suspect) == (2, False)
    here.found(second, {})
    here.over(SUSPECT)
    assert here.claims().with_suspect


def test_places_taken_by_what_cannot_be_ended_are_not_there() -> None:
    here = queues(a=2, stuck=1)
    assert here.keep(4) == {"a": 1, "b": 1}
    assert not here.hold("a")
