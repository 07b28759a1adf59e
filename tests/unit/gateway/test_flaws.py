"""What an answer shows of itself: only what is certainly no good counts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.gateway.flaws import (
    ARGUMENTS,
    CHARS_MAX,
    EMPTY,
    MISFIT,
    NO_CALL,
    NO_JSON,
    OTHER_TOOL,
    flaw_of,
    may_fit,
)
from legion_core.gateway.reading import Given
from legion_core.gateway.types import (
    JsonObject,
    Params,
    Request,
    StopReason,
    TextDelta,
    ToolCallDelta,
    ToolDefinition,
)
from tests.unit.gateway.lanes import ask

POINT: JsonObject = {
    "type": "object",
    "properties": {"x": {"type": "integer"}, "name": {"type": ["string", "null"]}},
    "required": ["x"],
    "additionalProperties": False,
}
TOOLED = ask(tools=(ToolDefinition(name="move", parameters=POINT),))
FORMED = ask(params=Params(json_schema=POINT))


def judged(
    request: Request, text: str = "", *calls: tuple[str, str], stop: StopReason = "end_turn"
) -> str | None:
    answer = Given()
    if text:
        answer.take(TextDelta(text=text))
    for place, (name, arguments) in enumerate(calls):
        answer.take(ToolCallDelta(index=place, id=f"c{place}", name=name, arguments=arguments))
    return flaw_of(request, answer, stop)


@pytest.mark.parametrize(
    ("request_", "text", "calls", "flaw"),
    [
        (ask(), "Hello", (), ""),
        (ask(), "", (), EMPTY),
        (ask(), " \n", (), EMPTY),
        (TOOLED, "No need to.", (), ""),
        (TOOLED, "", (("move", '{"x": 1}'),), ""),
        (TOOLED, "", (("jump", '{"x": 1}'),), OTHER_TOOL),
        (ask(), "", (("move", "{}"),), OTHER_TOOL),
        (TOOLED, "", (("move", '{"x": 1'),), ARGUMENTS),
        (TOOLED, "", (("move", "[1]"),), ARGUMENTS),
        (TOOLED, "", (("move", ""),), ARGUMENTS),
        (TOOLED, "", (("move", '{"x": 1}'), ("move", '{"y": 1}')), ARGUMENTS),
        (ask(tools=TOOLED.tools, tool_choice="any"), "I would rather talk.", (), NO_CALL),
        (ask(tools=TOOLED.tools, tool_choice="move"), "I would rather talk.", (), NO_CALL),
        (ask(tools=TOOLED.tools, tool_choice="none"), "Fine.", (), ""),
        (ask(params=Params(json_mode=True)), "[1]", (), ""),
        (ask(params=Params(json_mode=True)), "Sure: [1]", (), NO_JSON),
        (FORMED, '{"x": 1, "name": null}', (), ""),
        (FORMED, "```json\n{}\n```", (), NO_JSON),
        (FORMED, '{"name": "a"}', (), MISFIT),
        (FORMED, '{"x": 1.5}', (), MISFIT),
        (FORMED, '{"x": true}', (), MISFIT),
        (FORMED, '{"x": 1, "y": 2}', (), MISFIT),
    ],
)
def test_an_answer_is_judged_by_what_was_asked_for(
    request_: Request, text: str, calls: tuple[tuple[str, str], ...], flaw: str
) -> None:
    assert judged(request_, text, *calls) == flaw


@pytest.mark.parametrize("stop", ["max_tokens", "content_filter", "cancelled", "error"])
def test_an_answer_that_did_not_come_to_its_end_says_nothing(stop: StopReason) -> None:
    assert judged(FORMED, '{"x": ', stop=stop) is None
    assert judged(ask(), "", stop=stop) is None


def test_one_that_ended_at_a_word_of_the_client_may_be_empty() -> None:
    assert judged(ask(), "", stop="stop_sequence") == ""


def test_a_very_long_answer_is_not_read_once_more() -> None:
    assert judged(FORMED, "x" * (CHARS_MAX + 1)) is None


@pytest.mark.parametrize(
    ("schema", "value", "may"),
    [
        ({}, 1, True),
        ({"type": "integer"}, 2.0, True),
        ({"type": "number"}, True, False),
        ({"type": "string"}, None, False),
        ({"type": "string", "nullable": True, "enum": ["a"]}, None, True),
        ({"type": "string", "nullable": True}, 1, False),
        ({"enum": ["a", "b"]}, "c", False),
        ({"const": 3}, 4, False),
        ({"type": "array", "items": {"type": "string"}}, ["a", 1], False),
        ({"prefixItems": [{}], "items": {"type": "string"}}, [1, "a"], True),
        ({"$ref": "#/$defs/x", "type": "string"}, 1, True),
        ({"anyOf": [{"type": "string"}]}, 1, True),
        ({"patternProperties": {"^a": {}}, "additionalProperties": False}, {"ab": 1}, True),
        ({"type": "of another draft"}, 1, True),
    ],
)
def test_a_schema_is_read_as_far_as_it_is_understood(schema: JsonObject, value: object, may: bool) -> None:
    assert may_fit(schema, value) is may


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
_WORDS = st.sampled_from(
    ("type", "required", "properties", "items", "enum", "const", "additionalProperties", "$ref")
)


@given(st.dictionaries(_WORDS, _JSON, max_size=5), _JSON)
def test_no_schema_however_wrong_and_no_value_makes_it_fail(schema: JsonObject, value: object) -> None:
    assert may_fit(schema, value) in (True, False)


def _described(value: object) -> JsonObject:
    match value:
        case bool():
            return {"type": "boolean", "enum": [value]}
        case int() | float():
            return {"type": "integer" if float(value).is_integer() else "number"}
        case str():
            return {"type": ["string", "null"], "const": value}
        case list():
            return {"type": "array"}
        case dict():
            parts = {str(name): _described(each) for name, each in value.items()}
            return {
                "type": "object", "properties": parts, "required": list(parts), "additionalProperties": False
            }  # fmt: skip
        case _:
            return {"type": "null"}


@given(_JSON)
def test_what_a_schema_was_made_of_fits_it(value: object) -> None:
    if not (isinstance(value, float) and math.isinf(value)):
        assert may_fit(_described(value), value)
