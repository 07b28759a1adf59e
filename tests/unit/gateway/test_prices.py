"""Prices of models that nobody configured: dated, of known hosts only, and unknown rather than guessed."""

from datetime import date
from importlib.resources import files

import msgspec
import pytest

from legion_core.gateway.prices import OwnPrice, Prices, context_of, shipped
from legion_core.gateway.types import Price
from legion_core.testing.clock import SimClock

ANTHROPIC, OPENAI = "api.anthropic.com", "api.openai.com"
BEDROCK = "bedrock-runtime.eu-central-1.amazonaws.com"


@pytest.mark.parametrize(
    ("host", "model"),
    [
        (ANTHROPIC, "claude-opus-4-7"),
        (ANTHROPIC, "claude-opus-4-5-20251101"),
        (OPENAI, "gpt-4o-2024-08-06"),
        (BEDROCK, "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("generativelanguage.googleapis.com", "gemini-2.5-flash"),
        ("europe-west1-aiplatform.googleapis.com", "publishers/google/models/gemini-2.5-pro"),
    ],
)
def test_a_listed_model_of_a_known_host_has_a_price_with_its_page_and_day(host: str, model: str) -> None:
    price = shipped(host, model, "2026-11-22")

    assert price is not None
    page, _, day = price.source.rpartition(", ")
    assert page.startswith("https://")
    assert date.fromisoformat(day) <= date(2026, 11, 22)


@pytest.mark.parametrize(
    ("host", "model"),
    [
        ("127.0.0.1", "gpt-4o"),
        ("api.openai.com.evil.example", "gpt-4o"),
        (OPENAI, "gpt-4o-something-new"),
        (OPENAI, "ft:gpt-4o-2024-08-06:acme"),
        (OPENAI, "my-gpt-4o"),
        (ANTHROPIC, "claude"),
        ("openrouter.ai", "anthropic/claude-opus-4-7"),
    ],
)
def test_what_is_not_listed_is_unknown_and_never_guessed(host: str, model: str) -> None:
    assert shipped(host, model, "2026-11-22") is None


def test_the_price_is_the_one_in_force_on_the_day() -> None:
    before, after = (shipped(OPENAI, "gpt-5.6-luna", day) for day in ("2026-07-29", "2026-07-30"))

    assert before is not None
    assert after is not None
    assert (before.input, after.input) == (1.0, 0.2)
    assert after.long is not None
    assert (after.long.over_tokens, after.long.input) == (272_000, 0.4)


def test_an_own_price_goes_before_the_table_and_one_for_the_instance_before_both() -> None:
    everywhere, here = Price(input=1.0, output=1.0), Price(input=2.0, output=2.0)
    own = [OwnPrice(model="gpt-4o", price=everywhere), OwnPrice(model="gpt-4o", price=here, instance="work")]
    prices = Prices(SimClock(), lambda: own)

    assert prices.of("work", OPENAI, "gpt-4o") == here
    assert prices.of("home", OPENAI, "gpt-4o") == everywhere
    assert prices.of("box", "127.0.0.1", "gpt-4o") == everywhere
    assert prices.of("box", "127.0.0.1", "m1") is None


def test_every_row_of_the_table_is_dated_positive_and_of_a_provider_with_a_page() -> None:
    table = msgspec.json.decode(files("legion_core.gateway").joinpath("prices.json").read_bytes())
    pages = {row["provider"]: row["page"] for row in table["providers"]}

    assert len(table["rows"]) > 400
    for row in table["rows"]:
        assert pages[row["provider"]].startswith("https://")
        assert date.fromisoformat(row["checked"] or table["date"])
        assert row["input"] >= 0
        assert row["output"] >= 0
        assert row["ids"]


def test_the_table_says_how_much_a_model_holds() -> None:
    assert context_of(ANTHROPIC, "claude-opus-4-7") == 1_000_000
    assert context_of(OPENAI, "nobody-knows") == 0
