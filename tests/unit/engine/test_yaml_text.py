import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.engine.refusal import InvalidDocument
from legion_core.engine.yaml_text import VALUES_MAX, is_plain, read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("yes", "yes"),
        ("off", "off"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("tRue", "tRue"),
        ("null", None),
        ("~", None),
        ("''", ""),
        ("12", 12),
        ("-3", -3),
        ("012", 12),
        ("0o14", 12),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("1.5", 1.5),
        (".5e3", 500.0),
        ("1e3", 1000.0),
        ("2026-01-01", "2026-01-01"),
        ("'12'", "12"),
        ('"a\\nb"', "a\nb"),
        ("!!str 12", "12"),
        ("[a, [b], {c: d}]", ["a", ["b"], {"c": "d"}]),
        ("on: 1\nno: 2", {"on": 1, "no": 2}),
        ("1: a\ntrue: b\nnull: c", {"1": "a", "true": "b", "null": "c"}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("<<: {a: 1}", {"<<": {"a": 1}}),
        ("a:\nb: ", {"a": None, "b": None}),
        ("\ufeffa: 1", {"a": 1}),
        ('{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
    ],
)
def test_a_scalar_means_what_yaml_1_2_says(text: str, value: object) -> None:
    assert read(text)[0] == value


def test_every_part_has_its_line() -> None:
    text = "a: 1\nb:\n  - c: 2\n    d:\n      e: 3\n  - x\n"
    assert read(text)[1] == {
        "": 1,
        "a": 1,
        "b": 3,
        "b[0]": 3,
        "b[0].c": 3,
        "b[0].d": 5,
        "b[0].d.e": 5,
        "b[1]": 6,
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the text is empty"),
        ("# only a remark", "the text is empty"),
        ("a: [", "not YAML"),
        ("a: b: c", "not YAML"),
        ("\tx: 1", "not YAML"),
        ("a: 'x", "not YAML"),
        ("\x00", "not YAML"),
        ("a: 1\nb: 2\na: 3", "line 3: a: stands here a second time; the first is in line 1"),
        ('{"a": 1, "a": 2}', "a second time"),
        ("--- 1\n--- 2", "second document"),
        ("&a [*a]", "refers to itself"),
        ("&a {b: {c: *a}}", "refers to itself"),
        ("*a", "refers to nothing"),
        ("[a]: 1", "a name is text"),
        ("{a: 1}: 2", "a name is text"),
        ("x: &k a\n*k : 1", "cannot be an alias"),
        ("!!python/object/apply:os.system ['id']", "is not read"),
        ("!!python/name:os.system x", "is not read"),
        ("a: !secret x", "is not read"),
        ("[" * 100 + "]" * 100, "nested deeper than 64"),
        ("[" * 100_000, "nested deeper than 64"),
        ('{"a":' * 100_000, "nested deeper than 64"),
        ("x" * (9 << 20), "at most"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(InvalidDocument) as refused:
        read(text)
    assert words in str(refused.value)


def test_a_bomb_of_aliases_is_refused_quickly() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 9)}]\n" for at in range(1, 10)
    )
    started_s = time.process_time()
    with pytest.raises(InvalidDocument, match=f"more than {VALUES_MAX} values"):
        read(bomb)
    assert time.process_time() - started_s < 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=["Cs"]), max_size=10),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=5), inner, max_size=4),
    max_leaves=15,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from("abc"), JSON, max_size=3))
def test_any_json_object_is_read_as_itself(value: object) -> None:
    assert read(json.dumps(value))[0] == value


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read(text)
    except InvalidDocument:
        return


@given(st.text(alphabet="abn onyestru0123456789._-+:@/$~", max_size=12))
def test_what_needs_no_quotes_is_read_back_as_itself(text: str) -> None:
    if is_plain(text):
        assert read(f"{{x: [{text}], {text}: 1}}")[0] == {"x": [text], text: 1}
