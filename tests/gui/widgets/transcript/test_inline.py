"""Inline text: marks found, links safe, images and HTML inert, and copying writes the marks again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.widgets.transcript.inline import LINE_BREAK, Mark, is_safe, markdown, plain, read


def test_marks_cover_the_words_they_are_on() -> None:
    rich = read("a **b *c*** ~~d~~ `e` [f](https://g.h)")
    found = {rich.text[s.start : s.end].strip("\u00a0"): s.marks for s in rich.spans}
    assert found == {
        "b ": Mark.BOLD, "c": Mark.BOLD | Mark.ITALIC, "d": Mark.STRIKE, "e": Mark.CODE, "f": Mark.LINK,
    }  # fmt: skip


@pytest.mark.parametrize(
    "source",
    [
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](data:text/html,hi)",
        "[x](file:///etc/passwd)",
        "[x](vbscript:y)",
        "[x](//host/path)",
        "![x](javascript:alert(1))",
        "<javascript:alert(1)>",
        "<b onclick=x>raw</b>",
        "<img src=http://x/y.png>",
        "[x](&#106;avascript:alert(1))",
        "[x](java\u0000script:alert(1))",
    ],
)
def test_nothing_but_web_and_mail_addresses_becomes_a_link(source: str) -> None:
    assert all(is_safe(span.url) for span in read(source).spans if span.marks & Mark.LINK)
    assert "javascript" not in "".join(span.url for span in read(source).spans).lower()


def test_an_image_is_a_link_with_its_words_and_is_not_loaded() -> None:
    rich = read("see ![a **chart**](https://x.y/z.png)")
    (span,) = (s for s in rich.spans if s.marks & Mark.LINK)
    assert span.url == "https://x.y/z.png"
    assert "chart" in rich.text


def test_html_stays_text() -> None:
    assert read("<b>x</b> &amp; <script>").text == "<b>x</b> & <script>"


def test_a_bare_address_is_a_link_without_the_full_stop_after_it() -> None:
    rich = read("Go to https://example.org/a_b?c=1, then (http://h.i).")
    assert [s.url for s in rich.spans] == ["https://example.org/a_b?c=1", "http://h.i"]


def test_references_of_the_message_resolve() -> None:
    assert read("[foo]", {"FOO": ("https://u.v", "")}).spans[0].url == "https://u.v"
    assert read("[foo]").spans == ()


def test_breaks_soft_and_hard() -> None:
    assert read("a\nb  \nc\\\nd").text == f"a b{LINE_BREAK}c{LINE_BREAK}d"


def test_copying_part_of_a_text_writes_its_marks_and_leaves_out_the_padding() -> None:
    rich = read("one **two three** `four` [five](https://s.ix)")
    assert plain(rich) == "one two three four five"
    assert markdown(rich) == "one **two three** `four` [five](https://s.ix)"
    start = rich.text.index("three")
    assert markdown(rich, start, start + 5) == "**three**"
    assert plain(rich, start, start + 5) == "three"


@given(st.text(alphabet="ab*_`[]()<>!~&\\ \n:/h", max_size=60), st.integers(0, 60), st.integers(0, 60))
def test_spans_are_ordered_inside_the_text_and_any_part_can_be_copied(text: str, a: int, b: int) -> None:
    rich = read(text)
    position = 0
    for span in rich.spans:
        assert span.start >= position
        assert span.length > 0
        position = span.end
    assert position <= len(rich.text)
    assert isinstance(markdown(rich, min(a, b), max(a, b)), str)
    whole = plain(rich, 0, a) + plain(rich, a)
    assert whole.replace("\u00a0", "") == plain(rich).replace("\u00a0", "") or any(
        s.start < a < s.end and s.marks & Mark.CODE for s in rich.spans
    )
