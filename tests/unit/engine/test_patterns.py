import resource
import time

import pytest

from legion_core.engine.conditions import compiled as condition
from legion_core.engine.patterns import PatternError, compiled, i_regexp

EVIL = [
    (r"(a+)+$", "a" * 60_000 + "b"),
    (r"(x+x+)+y", "x" * 60_000),
    (r"(.*)*(.*)*[^a]$", "a" * 60_000),
    (r"[ab]*a[ab]{900}c", "abbaab" * 10_000),
    (r"(a?){30}a{30}", "a" * 30),
    (r"((([a-z]+)+)+)+!", "abc" * 20_000),
    (r"(\w+\s?)*$", "word " * 12_000 + "!"),
    (r"^(([a-z])+.)+[A-Z]([a-z])+$", "a" * 60_000),
]


@pytest.mark.parametrize(("pattern", "text"), EVIL)
def test_no_pattern_takes_time_beyond_its_text(pattern: str, text: str) -> None:
    """Processor time, with a wide margin for a busy machine: a back-tracking engine would need years here."""
    ask = compiled(pattern)
    started_s = time.process_time()
    ask.search(text)
    ask.search(text[: ask.text_bytes_max])
    assert time.process_time() - started_s < 0.1


def test_a_large_pattern_is_tried_on_short_texts_only() -> None:
    small, large = compiled("abc"), compiled("[ab]*a[ab]{900}c")
    assert small.text_bytes_max == 65_536 // 1 or small.text_bytes_max > 10_000
    assert 500 <= large.text_bytes_max < 1_000
    assert large.search("a" * 1_000) is None


def test_a_text_is_measured_in_bytes() -> None:
    ask = compiled("[ab]*a[ab]{900}c")
    fits = ask.text_bytes_max
    assert ask.search("a" * fits) is False
    assert ask.search("é" * fits) is None


@pytest.mark.parametrize(
    "pattern",
    [
        "((((a{99}){99}){99}){99})",
        "(" * 600 + "a" + ")" * 400,
        "a{1000}{1000}",
        "[a-z]{0,1000}" * 70,
        "(" * 10**6,
    ],
)
def test_a_pattern_that_would_fill_the_memory_is_refused(pattern: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(PatternError):
        compiled(pattern)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.parametrize("pattern", ["(", "[", "a**", "(?P<a", "\\", "(?<=a)b", r"\1", "(?#x)", "x" * 1_001])
def test_what_is_no_pattern_is_refused_with_a_sentence(pattern: str) -> None:
    with pytest.raises(PatternError, match="pattern"):
        compiled(pattern)


def test_half_a_surrogate_pair_is_searched_like_any_text() -> None:
    assert compiled("b").search("\ud800b") is True
    assert condition({"fact": "x", "operator": "matches", "value": "^.$"}).evaluate({"x": "\ud800"})


def test_patterns_speak_of_letters_not_bytes() -> None:
    assert compiled("^.$").search("é") is True
    assert compiled("(?i)É").search("é") is True
    assert compiled("a").covers("aa") is False
    assert compiled("a+").covers("aa") is True


@pytest.mark.parametrize(
    ("pattern", "written"),
    [("a.b", r"a[^\n\r]b"), (r"a\.b", r"a\.b"), ("[.]", "[.]"), (r"[\]].", r"[\]][^\n\r]"), ("", "")],
)
def test_the_dot_of_an_i_regexp_leaves_out_both_line_ends(pattern: str, written: str) -> None:
    assert i_regexp(pattern) == written
