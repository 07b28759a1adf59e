import re
from string import Formatter
from typing import get_args

import pytest

from legion_core.engine.reasons import REASONS, Kind, because
from legion_core.engine.types import TaskStatus


def names(kind: Kind) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(kind.sentence) if name}


def test_the_catalogue_holds_at_least_sixty_reasons() -> None:
    assert len(REASONS) >= 60


@pytest.mark.parametrize("kind", REASONS.values(), ids=lambda kind: kind.code)
def test_a_reason_is_a_code_a_sentence_and_its_facts(kind: Kind) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z_]+", kind.code)
    assert kind.status in get_args(TaskStatus)
    facts = {name: f"«{name}»" for name in names(kind)}
    reason = because(kind.code, **facts)
    assert reason.facts == facts
    assert all(fact in reason.sentence for fact in facts.values())
    assert reason.sentence.endswith((".", "»"))
    assert not kind.hint or reason.sentence.endswith(kind.hint)


def test_no_reason_can_be_given_without_its_facts_or_by_an_unknown_code() -> None:
    with pytest.raises(KeyError):
        because("join.not_enough", have=1)
    with pytest.raises(KeyError):
        because("join.nonesuch")


def test_a_long_fact_is_shortened_in_the_sentence_only() -> None:
    reason = because("task.raised", what="x" * 10_000)
    assert len(reason.sentence) == 200
    assert reason.facts["what"] == "x" * 10_000


def test_braces_in_a_fact_stay_text() -> None:
    assert because("task.raised", what="{0.__class__}").sentence == "{0.__class__}"
