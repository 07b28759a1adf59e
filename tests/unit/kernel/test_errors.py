"""The error tree answers whoever catches: try again? whose fault? what is it called outside?"""

import ast
from pathlib import Path
from typing import get_args

import pytest

from legion_core.kernel import errors
from legion_core.kernel.errors import (
    Blame,
    Bug,
    ConfigError,
    ContextTooLong,
    Corrupt,
    LegionError,
    ProviderError,
    RateLimited,
    Refused,
    Retry,
    StreamBroken,
    Unavailable,
    Unsupported,
    WorkerDied,
)


def tree(kind: type[LegionError]) -> list[type[LegionError]]:
    return [kind, *(each for child in kind.__subclasses__() for each in tree(child))]


KINDS = [kind for kind in tree(LegionError) if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_answers_the_three_questions(kind: type[LegionError]) -> None:
    assert kind.retry in get_args(Retry)
    assert kind.blame in get_args(Blame)
    assert kind.public_code
    assert kind.__doc__


def test_public_codes_are_distinct() -> None:
    codes = [kind.public_code for kind in KINDS]
    assert len(set(codes)) == len(codes)


def test_what_is_unavailable_may_be_tried_elsewhere_and_only_we_are_to_blame_for_bugs() -> None:
    assert all(kind.retry == "elsewhere" for kind in tree(Unavailable))
    assert Bug.blame == "us"
    assert Corrupt.blame == "world"
    assert issubclass(Unavailable, ProviderError)
    assert issubclass(Refused, ProviderError)


def test_the_drawing_of_the_tree_names_every_class() -> None:
    drawing = errors.__doc__ or ""
    assert [kind.__name__ for kind in KINDS if kind.__name__ not in drawing] == []
    text = Path(errors.__file__).read_text(encoding="utf-8")
    classes = {node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}
    assert classes == {kind.__name__ for kind in KINDS}


def test_a_sentence_says_what_and_what_to_do() -> None:
    error = LegionError("It broke.", hint="Mend it.")
    assert error.sentence() == "It broke. Mend it."
    assert str(error) == error.message == "It broke."
    assert LegionError("It broke.").sentence() == "It broke."


def test_some_errors_carry_figures() -> None:
    assert ConfigError("x", faults=("a", "b")).faults == ("a", "b")
    assert RateLimited("x", retry_after_s=2.5).retry_after_s == 2.5
    assert RateLimited("x").retry_after_s is None
    assert StreamBroken("x", chunks_seen=3).chunks_seen == 3
    assert WorkerDied("x", exit_code=-9).exit_code == -9
    too_long = ContextTooLong("x", limit=8, asked=9)
    assert (too_long.limit, too_long.asked) == (8, 9)
    assert Unsupported("x", capability="vision").capability == "vision"


def test_a_message_without_a_full_stop_does_not_run_into_its_hint() -> None:
    """Servers end their own sentences as they like."""
    assert Refused("box-a answered 404: no such model", hint="Check it.").sentence() == (
        "box-a answered 404: no such model. Check it."
    )
    assert Refused("It is over.", hint="Try again.").sentence() == "It is over. Try again."
    assert Refused("no such model").sentence() == "no such model"
    assert Refused("", hint="Try again.").sentence() == "Try again."
