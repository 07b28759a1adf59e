"""Markdown blocks: the same for a text read whole and for the same text in any pieces; nothing is loaded or lost."""

import itertools
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.widgets.transcript.blocks import Block, Splitter, parse, references

SAMPLES = [
    "Hello\n\nworld",
    "# Title\ntext\n\n## Sub ##\n\nSetext\n===\n\nOther\n---\n",
    "para\n#hashtag\n\n# heading\n#\n",
    "- a\n- b\n  - c\n  - d\n\n    more of d\n- e\n\n\n- f\n",
    "1. one\n2. two\n10. ten\n   continued\n\n3) other\n4) list\n",
    "3. three\n7. still four\n- bullet\n* star\n+ plus\n",
    "- [ ] open\n- [x] done\n- [X] also\n",
    "- a\n - b\n  - c\n   - d\n    - e\n",
    "-\n- a\n-\n\n- b\n",
    "- ```\n  code\n  ```\n- > quote\n- # head\n- | a | b |\n  |---|---|\n  | 1 | 2 |\n",
    "> quote\nlazy\n> - list\n> - more\n\n> > deep\n>\n> ```py\n> x = 1\n> ```\n",
    "```python\ndef f():\n    return 1\n```\nafter\n",
    "```\nopen\n\n\nfence",
    "~~~ js extra\nlet x\n```\n~~~~\nend\n",
    "  ```py\n  a\n b\n  ```\n",
    "````md\n```\ninner\n```\n````\n",
    "    indented\n\n    more\n\npara\n    not code\n",
    "| a | b |\n|---|:-:|\n| 1 | 2 |\n| `x|y` | 4 |\n\nend",
    "text\n| a | b |\n|---|---|\n| 1 | 2 |\nafter",
    "- b | c\n--|--\n1 | 2\n",
    "- a\n- b | c\n--|--\n1 | 2\n",
    "a\n***\nb\n- - -\n___\n",
    "[foo]: /url 'title'\n\n[foo] and [bar]\n\n[bar]: <x y>\n[foo]: /other\n",
    "<div>\n<b>raw</b>\n</div>\n\n<script>alert(1)</script>\n\n<!-- c\n\nd -->\n",
    "![img](http://x/y.png) [js](javascript:alert(1)) <http://a.b>",
    "line one  \nline two\\\nline three\n",
    "\r\nwin\r\n\r\n- a\r\n- b\r\n",
    "a\rb\rc",
    "tab\tbed\n\t- x\n-\ty\n\n\tcode\n",
    "\0null\u200b\u202ertl\u2028sep\u0085nel",
    "*a **b `c* d** e`\n" * 3,
    "#" * 50 + "\n" + ">" * 40 + " deep\n" + "- " * 30 + "x\n",
    "1.\n2. x\n\n   para\n\n   ```\n   code\n   ```\n3. y",
    "- x\n\n\n  y\n\n- z\n\nafter\n",
    "* a\n\n  > b\n  ```\n  c\n  ```\n* d\n",
    "`" * 3 + "\n" + "`" * 2 + "\n" + "`" * 4 + "\nrest",
    "👩‍👩‍👧 emoji **bold** ﷽ \ud7ff",
]


def streamed(pieces: list[str]) -> tuple[list[Block], Splitter]:
    splitter = Splitter()
    before: list[Block] = []
    for piece in pieces:
        kept = splitter.feed(piece)
        assert splitter.blocks[:kept] == before[:kept], "a block said to be kept has changed"
        before = list(splitter.blocks)
    splitter.close()
    return splitter.blocks, splitter


def cut(text: str, points: list[int]) -> list[str]:
    edges = sorted({0, len(text), *(p % (len(text) + 1) for p in points)})
    return [text[a:b] for a, b in itertools.pairwise(edges)]


@pytest.mark.parametrize("text", SAMPLES)
def test_a_text_streamed_by_the_letter_gives_the_blocks_of_the_whole(text: str) -> None:
    blocks, splitter = streamed(list(text))
    assert blocks == parse(text)
    assert splitter.references == references(text)


@given(
    st.lists(st.sampled_from(SAMPLES), min_size=1, max_size=4),
    st.sampled_from(["", "\n", "\n\n"]),
    st.lists(st.integers(0, 10_000), max_size=30),
)
def test_samples_joined_and_cut_anywhere_stream_to_the_same_blocks(
    samples: list[str], glue: str, points: list[int]
) -> None:
    text = glue.join(samples)
    blocks, splitter = streamed(cut(text, points))
    assert blocks == parse(text)
    assert splitter.references == references(text)


@given(
    st.text(alphabet="ab \n\n\t-+*_#>|:`~=1.)[]()<!\\\r", max_size=60),
    st.lists(st.integers(0, 1000), max_size=12),
)
@example("- a\n- b | c\n--|--", [4])
@example("foo\n#hashtag", [5])
def test_hostile_letters_stream_to_the_same_blocks(text: str, points: list[int]) -> None:
    blocks, _ = streamed(cut(text, points))
    assert blocks == parse(text)


@given(st.text(max_size=200))
def test_any_text_at_all_is_read_without_an_error(text: str) -> None:
    assert streamed([text])[0] == parse(text)


def test_an_open_fence_is_shown_as_if_closed_and_costs_no_second_parse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    splitter = Splitter()
    splitter.feed("intro\n\n```python\nx = 1\n")
    import app.widgets.transcript.blocks as module

    def refuse(*_: object) -> None:
        raise AssertionError("the open fence was parsed again")

    monkeypatch.setattr(module, "_parse", refuse)
    splitter.feed("y = 2\nz")
    code = splitter.blocks[-1]
    assert (code.kind, code.info, code.text) == ("code", "python", "x = 1\ny = 2\nz")


def test_a_long_list_freezes_its_items_and_goes_on_counting() -> None:
    splitter = Splitter()
    for number in range(50):
        splitter.feed(f"{number + 1}. item {number}\n")
    kept = splitter.feed("51. last")
    assert kept >= 49
    assert [block.marker for block in splitter.blocks][-1] == "51."


def test_leaves_know_their_list_quote_and_marker() -> None:
    blocks = parse("- a\n  - b\n\n    c\n> q\n> 1. x")
    assert [(b.text, b.indent, b.quote, b.marker) for b in blocks] == [
        ("a", 1, 0, "•"), ("b", 2, 0, "•"), ("c", 2, 0, ""), ("q", 0, 1, ""), ("x", 1, 1, "1."),
    ]  # fmt: skip


def test_source_lines_of_leaves_lie_in_the_text_and_in_order() -> None:
    for text in SAMPLES:
        lines = len(re.split(r"\r\n|\r|\n", text))
        previous = 0
        for block in parse(text):
            assert 0 <= block.first_line < block.last_line <= lines
            assert block.first_line >= previous
            previous = block.first_line
