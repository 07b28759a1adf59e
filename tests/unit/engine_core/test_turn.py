"""What a turn of the loop wants written, and what a refused step leads to."""

from datetime import UTC, datetime

import msgspec

from legion_core.engine.extension import NO_RETRY
from legion_core.engine.journal import Lease
from legion_core.engine.machine import State
from legion_core.engine.orders import Line
from legion_core.engine.steps import Ending
from legion_core.engine.turn import Turn, failed_by, is_of_disk
from legion_core.kernel.errors import Conflict
from legion_core.kernel.ids import system_rng
from legion_core.storage.failures import StorageFailed


def lease(**fields: object) -> Lease:
    made = Lease(
        n=1, id="t1", task="log.message.write", args=b"{}", queue="default", priority=0, attempt=1, effect="plain",
        retry=NO_RETRY, fencing=1, submitter="", is_redelivered=False, timeout_s=None, who="owner", parent="", root="t1",
        run="", node="", key="", depth=0, created_ms=1, started_ms=1,
    )  # fmt: skip
    return msgspec.structs.replace(made, **fields)


def ending(status: str = "succeeded", **fields: object) -> Ending:
    return Ending(lease(**fields), State(status=status))  # type: ignore[arg-type]


def test_what_is_wanted_comes_in_one_step_and_only_once() -> None:
    turn = Turn()
    turn.end(ending())
    turn.tell("TaskStarted", b"{}")
    turn.look()

    step, apart = turn.take()
    empty, _ = turn.take()

    assert (len(step.endings), len(step.told), step.is_look, apart) == (1, 1, True, [])
    assert not empty.has_work


def test_an_end_that_brings_others_code_is_a_transaction_of_its_own() -> None:
    turn = Turn()
    turn.end(ending(run="run1"))
    turn.end(Ending(lease(), State(status="succeeded"), deferred=(lambda _: None,)))

    step, apart = turn.take()

    assert not step.endings
    assert len(apart) == 2


def test_a_refused_step_comes_before_what_was_wanted_since() -> None:
    turn = Turn()
    turn.join(7, "then")
    turn.end(ending(id="first"))
    turn.due()
    refused, _ = turn.take()
    assert not turn.is_joining
    turn.end(ending(id="second"))
    turn.line(Line(task="second", number=1, at=datetime(2026, 1, 1, tzinfo=UTC), level="info", text="so"))
    turn.put_back(refused)
    assert turn.is_joining

    step, _ = turn.take()

    assert [each.lease.id for each in step.endings] == ["first", "second"]
    assert (step.join, step.is_due, len(step.lines)) == ((7, "then"), True, 1)


def test_only_a_disk_that_refuses_is_worth_another_try() -> None:
    assert is_of_disk(StorageFailed("The disk is full."))
    assert not is_of_disk(Conflict("It is there already."))
    assert not is_of_disk(ValueError("no"))


def test_a_task_whose_deferred_work_cannot_be_written_failed_and_says_so() -> None:
    made = failed_by(ending(run="run1"), ValueError("no such row"), now_ms=5, rng=system_rng())

    assert made.state.status == "failed"
    assert made.state.reason is not None
    assert "no such row" in made.state.reason.sentence
    assert made.lease.run == "run1"


def test_a_task_that_cannot_even_fail_within_its_run_ends_without_it() -> None:
    made = failed_by(ending("failed", run="run1"), ValueError("broken"), now_ms=5, rng=system_rng())

    assert made.lease.run == ""
