"""What the ledger says of instances: waits, speeds, failures, spend, and unknown prices that are never 0."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from legion_core.gateway.abilities import TRIAL_CLIENT
from legion_core.gateway.ledger import MIGRATIONS, Ledger
from legion_core.gateway.measures import Figures, Measures
from legion_core.gateway.types import Attempt, Request, Usage
from legion_core.storage.sqlite import Database
from tests.support.aio import run

NOON = datetime(2026, 6, 17, 12, 0, tzinfo=UTC)


class Noon:
    def utc_now(self) -> datetime:
        return NOON

    def monotonic_s(self) -> float:
        return 1.0


def attempt(
    instance: str = "box",
    *,
    number: int = 1,
    tier: str = "local",
    outcome: str = "succeeded",
    ago_s: float = 60,
    first_s: float | None = 0.5,
    tokens: int = 21,
    cost: float | None = 0.0,
) -> Attempt:
    return Attempt(
        number=number,
        tier=tier,
        instance=instance,
        model="m1",
        outcome=outcome,
        why="" if outcome == "succeeded" else "It broke.",
        usage=Usage(input_tokens=10, output_tokens=tokens),
        cost_usd=cost,
        started_at=NOON - timedelta(seconds=ago_s),
        first_token_s=first_s,
        duration_s=(first_s or 0.0) + 1.0,
    )


async def measured(
    path: Path, *requests: tuple[Attempt, ...], client: str = ""
) -> tuple[dict[str, object], Figures]:
    clock = Noon()
    database = await Database.open(path, migrations=MIGRATIONS, durability="process", clock=clock)
    try:
        ledger = Ledger(database, clock)
        for at, attempts in enumerate(requests):
            await ledger.settle(
                Request(id=f"req_{at}", messages=(), client=client),
                attempts,
                outcome=attempts[-1].outcome,
                duration_s=1.0,
            )
        found, figures = await Measures(database, clock).read()
        return dict(found), figures
    finally:
        await database.close()


def test_speed_and_wait_are_medians_of_the_last_hour_and_what_is_older_does_not_count(tmp_path: Path) -> None:
    found, figures = run(
        measured(
            tmp_path / "j.db",
            (attempt(first_s=0.1),),
            (attempt(first_s=0.3, tokens=41),),
            (attempt(first_s=0.9, tokens=3),),
            (attempt(first_s=50.0, ago_s=7200),),
        )
    )
    box = found["box"]
    assert box.first_token_p50_s == pytest.approx(0.3)  # type: ignore[attr-defined]
    assert box.first_token_p95_s == pytest.approx(0.9)  # type: ignore[attr-defined]
    assert box.tokens_per_s == pytest.approx(30.0)  # type: ignore[attr-defined]
    assert box.requests == 3  # type: ignore[attr-defined]
    assert [point.first_token_s for point in box.points] == [0.1, 0.3, 0.9]  # type: ignore[attr-defined]
    assert figures.requests == figures.stayed_local == 3


def test_an_unknown_price_is_counted_as_unknown_and_adds_nothing(tmp_path: Path) -> None:
    found, figures = run(
        measured(
            tmp_path / "j.db",
            (attempt("lab", tier="frontier", cost=None),),
            (attempt("lab", tier="frontier", cost=0.25),),
        )
    )
    assert (found["lab"].spent_usd, found["lab"].unpriced) == (0.25, 1)  # type: ignore[attr-defined]
    assert (figures.spent_usd, figures.unpriced, figures.free_output_tokens) == (0.25, 1, 0)


def test_what_moved_after_its_first_words_is_told_apart_from_what_failed_before(tmp_path: Path) -> None:
    found, figures = run(
        measured(
            tmp_path / "j.db",
            (attempt(outcome="stream_broken", tokens=5), attempt("far", number=2, tier="cloud")),
            (attempt(outcome="overloaded", tokens=0, first_s=None), attempt("far", number=2, tier="cloud")),
            (attempt(outcome="cancelled"),),
        )
    )
    assert (figures.requests, figures.moved, figures.stayed_local) == (3, 1, 1)
    assert [failure.outcome for failure in found["box"].failures] == ["overloaded", "stream_broken"]  # type: ignore[attr-defined]


def test_a_trial_of_a_model_shows_nothing_of_how_its_instance_is_and_is_paid_for(tmp_path: Path) -> None:
    found, figures = run(
        measured(
            tmp_path / "j.db",
            (attempt(cost=0.25),),
            (attempt(outcome="unsupported", tokens=0, first_s=None),),
            client=TRIAL_CLIENT,
        )
    )
    assert (found["box"].failures, found["box"].points) == ((), ())  # type: ignore[attr-defined]
    assert (found["box"].requests, figures.requests, figures.stayed_local) == (0, 0, 0)  # type: ignore[attr-defined]
    assert (found["box"].spent_usd, figures.spent_usd) == (0.25, 0.25)  # type: ignore[attr-defined]


def test_an_empty_ledger_says_nothing(tmp_path: Path) -> None:
    found, figures = run(measured(tmp_path / "j.db"))
    assert found == {}
    assert figures == Figures()
