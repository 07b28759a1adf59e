"""A request's line in the list: who asked, where it went, and why it failed, each said once."""

from datetime import UTC, datetime

import pytest

from app.viewmodels.activity_words import words_of
from legion_core.api.activity_types import ActivityRow
from legion_core.engine.types import Reason
from legion_core.gateway.abilities import TRIAL_CLIENT

NOW = datetime(2026, 3, 14, 9, 0, tzinfo=UTC)


def row(**fields: object) -> ActivityRow:
    values: dict[str, object] = {
        "key": "r1", "kind": "request", "id": "req_1", "state": "succeeded", "status": "succeeded", "at": NOW,
        "tier": "local", "instance": "local", "model": "smollm2", "cost_usd": 0.0,
    }  # fmt: skip
    return ActivityRow(**{**values, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({}, "local/smollm2"),
        ({"instance": "ollama", "model": "qwen3:8b"}, "local/ollama"),
        ({"model": "/srv/models/smol.gguf"}, "local/smol.gguf"),
        ({"tier": "cloud", "instance": "gemini-eu"}, "cloud/gemini-eu"),
        ({"tier": "", "instance": ""}, "–"),
    ],
)
def test_where_it_went_names_the_model_of_the_workbench_and_else_the_instance(
    fields: dict[str, object], where: str
) -> None:
    assert words_of(row(**fields), NOW).where == where


def test_a_program_is_named_by_its_first_word() -> None:
    told = row(client="google-genai-sdk/3.4.0 gl-python/3.11.7", output_tokens=60)
    assert words_of(told, NOW).title == "Request of google-genai-sdk/3.4.0, 60 tokens"
    assert words_of(row(client=" "), NOW).title == "Request"


def test_a_trial_of_a_model_is_called_one() -> None:
    assert words_of(row(client=TRIAL_CLIENT), NOW).title == "Trial of a model"


def test_the_reason_does_not_say_again_where_it_went() -> None:
    why = Reason(code="overloaded", sentence="gemini-eu answered 529: try later")
    failed = row(
        state="failed", status="overloaded", tier="cloud", instance="gemini-eu", reason=why, cost_usd=None
    )
    assert words_of(failed, NOW).detail == "answered 529: try later"
