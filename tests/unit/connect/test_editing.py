"""The texts: exactly our keys go in and come out."""

import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.connect import jsonc_edit, toml_edit
from legion_core.connect.jsonc import Invalid, parse
from legion_core.kernel.errors import ConfigError

ENTRY = {"command": "/opt/legion", "args": ["mcp"]}
PATH = ("mcpServers", "legion")

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(
    document=st.dictionaries(TEXTS, VALUES, max_size=5),
    indent=st.sampled_from((None, 0, 2, 4, "\t")),
    is_ascii=st.booleans(),
)
def test_any_json_a_program_wrote_comes_back_byte_for_byte(document, indent, is_ascii):
    text = json.dumps(document, indent=indent, ensure_ascii=is_ascii)
    if not isinstance(document.get("mcpServers", {}), dict | None):
        with pytest.raises(Invalid):
            jsonc_edit.put(text, PATH, ENTRY, is_strict=True)
        return
    changed, mark = jsonc_edit.put(text, PATH, ENTRY, is_strict=True)
    servers = {**(document.get("mcpServers") or {}), "legion": ENTRY}
    assert json.loads(changed) == {**document, "mcpServers": servers}
    assert jsonc_edit.take(changed, mark, is_strict=True) == text


@given(st.text(st.sampled_from('{}[],:"a\\/* \n\r\t1.-eE0truefalsn'), max_size=24))
def test_what_passes_for_strict_json_is_what_the_standard_parser_takes(text):
    def standard() -> bool:
        try:
            json.loads(text, parse_constant=_refuse)
        except ValueError:
            return False
        return True

    fault, accepted = _judged(text)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert fault is None or 1 <= fault.line <= len(lines)
    assert accepted == standard()


def _judged(text: str) -> tuple[Invalid | None, bool]:
    try:
        return None, parse(text, is_strict=True).root is not None
    except Invalid as fault:
        return fault, False


def _refuse(word: str) -> None:
    raise ValueError(word)


@given(st.text(max_size=60))
def test_no_text_does_more_than_be_refused(text):
    for is_strict in (True, False):
        try:
            changed, mark = jsonc_edit.put(text, PATH, ENTRY, is_strict=is_strict)
        except ConfigError:
            continue
        assert jsonc_edit.take(changed, mark, is_strict=is_strict) == text
    try:
        changed, mark = toml_edit.put(text, ("mcp_servers", "legion"), ENTRY)
    except ConfigError:
        return
    assert tomllib.loads(changed)["mcp_servers"]["legion"] == ENTRY
    assert toml_edit.take(changed, mark) == text


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ('{"a": 1,}', 1, 8),
        ('{\n  "a": 1\n  "b": 2\n}', 3, 3),
        ('{\n  // why\n  "a": 1\n}', 2, 3),
        ('{"a": tru}', 1, 7),
        ('{"a": 01}', 1, 7),
        ('{\r\n"a": "b\r\n}', 2, 6),
        ("[1, 2", 1, 1),
        ('{"a": 1} x', 1, 10),
        ("'a'", 1, 1),
        ("{a: 1}", 1, 2),
        ("[" * 150 + "]" * 150, 1, 102),
    ],
)
def test_a_fault_is_named_by_line_and_column(text, line, column):
    with pytest.raises(Invalid) as caught:
        parse(text, is_strict=True)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_comments_and_late_commas_are_read_where_the_program_reads_them():
    text = '// head\n{\n  "a": [1, 2,], /* b */\n  "c": "// no comment", // d\n}\n'
    document = parse(text, is_strict=False)
    assert document.value() == {"a": [("number", "1"), ("number", "2")], "c": "// no comment"}
    changed, mark = jsonc_edit.put(text, PATH, ENTRY, is_strict=False)
    assert changed.startswith(
        '// head\n{\n  "a": [1, 2,], /* b */\n  "c": "// no comment", // d\n  "mcpServers": {\n'
    )
    assert changed.endswith("  },\n}\n")
    assert jsonc_edit.take(changed, mark, is_strict=False) == text


def test_a_comment_behind_the_last_value_stays_behind_it():
    text = '{\n  "a": 1 // one\n}\n'
    changed, mark = jsonc_edit.put(text, ("b",), 2, is_strict=False)
    assert changed == '{\n  "a": 1, // one\n  "b": 2\n}\n'
    assert jsonc_edit.take(changed, mark, is_strict=False) == text


def test_a_key_that_stands_twice_is_refused_with_both_lines():
    text = '{\n"mcpServers": {},\n"mcpServers": {}\n}'
    with pytest.raises(ConfigError, match=r'"mcpServers" stands there twice, in lines 2 and 3'):
        jsonc_edit.put(text, PATH, ENTRY, is_strict=True)


def test_what_others_put_beside_ours_stays_and_our_object_stays_with_it():
    changed, mark = jsonc_edit.put('{\n  "a": 1\n}', PATH, ENTRY, is_strict=True)
    theirs = changed.replace('"mcpServers": {', '"mcpServers": {\n    "other": {},')
    left = jsonc_edit.take(theirs, mark, is_strict=True)
    assert json.loads(left) == {"a": 1, "mcpServers": {"other": {}}}


def test_a_comment_somebody_wrote_into_our_object_is_not_lost():
    changed, mark = jsonc_edit.put("{\n}", PATH, ENTRY, is_strict=False)
    theirs = changed.replace('"mcpServers": {', '"mcpServers": { // mine')
    left = jsonc_edit.take(theirs, mark, is_strict=False)
    assert "// mine" in left
    assert "legion" not in left


def test_what_stood_there_before_us_comes_back_as_it_was_written():
    text = '{"mcpServers": {"legion": {"command":  "old" , "x": [ ]}, "b": {}}}'
    changed, mark = jsonc_edit.put(text, PATH, ENTRY, is_strict=True)
    assert json.loads(changed)["mcpServers"]["legion"] == ENTRY
    edited = changed.replace('"b": {}', '"b": {}, "c": 1')
    assert jsonc_edit.take(edited, mark, is_strict=True) == text.replace('"b": {}', '"b": {}, "c": 1')


def test_an_element_of_a_list_is_found_by_its_name():
    text = '[\n  {"name": "Other"},\n  {"name": "Third"}\n]\n'
    changed, mark = jsonc_edit.put(text, ("@name=Legion",), {"name": "Legion", "x": 1}, is_strict=True)
    assert [each["name"] for each in json.loads(changed)] == ["Other", "Third", "Legion"]
    assert jsonc_edit.take(changed, mark, is_strict=True) == text


def test_line_ends_and_indentation_are_those_of_the_file():
    changed, _ = jsonc_edit.put('{\r\n\t"a": {\r\n\t\t"b": 1\r\n\t}\r\n}', PATH, ENTRY, is_strict=True)
    assert "\n" not in changed.replace("\r\n", "")
    assert '\r\n\t"mcpServers": {\r\n\t\t"legion": {\r\n\t\t\t"command"' in changed


def test_a_table_is_written_below_and_taken_out_again():
    text = '# mine\nmodel = "x" # why\n\n[mcp_servers.a]\ncommand = "b"'
    value = {**ENTRY, "env": {"A B": "c"}}
    changed, mark = toml_edit.put(text, ("mcp_servers", "legion"), value)
    assert changed.startswith(text)
    assert tomllib.loads(changed)["mcp_servers"]["legion"] == value
    assert toml_edit.take(changed, mark) == text
    below = changed + "\n[late]\na = 1\n"
    assert toml_edit.take(below, mark) == text + "\n\n[late]\na = 1\n"


def test_a_table_written_inline_is_refused_with_what_to_do():
    with pytest.raises(ConfigError, match="form that is not edited here") as caught:
        toml_edit.put('mcp_servers = {a = {command = "b"}}\n', ("mcp_servers", "legion"), ENTRY)
    assert "headers in brackets" in caught.value.hint


def test_a_header_inside_a_text_is_not_taken_for_a_table():
    text = 'note = """\n[mcp_servers.legion]\ncommand = "no"\n"""\n'
    changed, mark = toml_edit.put(text, ("mcp_servers", "legion"), ENTRY)
    assert changed.startswith(text)
    assert toml_edit.take(changed, mark) == text
