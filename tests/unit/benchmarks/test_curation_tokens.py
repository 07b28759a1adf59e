"""The pinned tokenizer counts what its vocabulary says, whatever the text."""

import pytest

from benchmarks.curation_tokens import pinned


# Counts of llama.cpp for the same model file (`prompt_tokens` of a completion).
@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("Hello, world!", 4),
        ("def f(x):\n    return x + 12345\n", 16),
        ("naïve – “quoted” 日本語 🙂\n\n\n  x", 18),
        ("    12→foo\n" * 30, 151),
    ],
)
def test_counts_are_those_of_the_model(text: str, tokens: int) -> None:
    assert pinned().count(text) == tokens


def test_any_text_is_counted() -> None:
    count = pinned().count
    for text in ("\ud800 lone", "é" * 100, "\x00\x01", "日本語のテキスト", "🙂" * 9, " " * 500, "\n\t\r\n"):
        assert 0 < count(text) <= 4 * len(text)


def test_a_text_cut_at_a_line_counts_no_less_than_whole() -> None:
    count = pinned().count
    text = "alpha beta\ngamma 42\n" * 50
    assert count(text) <= count(text[:100]) + count(text[100:])
