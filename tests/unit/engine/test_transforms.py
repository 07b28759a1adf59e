import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.engine.refusal import InvalidDocument
from legion_core.engine.transforms import ModelAsk, Rendered, arguments, compiled

PAYLOAD = {
    "input": {"url": "http://example.test/"},
    "result": {"body": {"items": [{"n": 1}, {"n": 2}]}, "text": "3", "count": 3},
    "results": {"get-it": {"ok": True}},
}


def args_of(rendered: Rendered) -> object:
    assert rendered.reason is None, rendered.reason
    assert rendered.ask is None
    return rendered.args


@pytest.mark.requirement("engine.transforms")
@pytest.mark.parametrize(
    ("document", "args"),
    [
        ({"template": {"a": "{{ result.text }}", "b": 1}}, {"a": "3", "b": 1}),
        ({"engine": "liquid", "template": {"a": ["x{{ result.count }}", {"b": "{{ input.url }}"}]}},
         {"a": ["x3", {"b": "http://example.test/"}]}),
        ({"engine": "liquid", "template": "n={{ result.count }}"}, {"value": "n=3"}),
        ({"engine": "jsonpath", "template": {"a": "$.result.count", "b": "$.result.body.items[*].n", "c": 7}},
         {"a": 3, "b": [1, 2], "c": 7}),
        ({"engine": "jsonpath", "template": "$.result.body"}, {"items": [{"n": 1}, {"n": 2}]}),
        ({"engine": "jsonpath", "template": "$.result.body.items"}, {"value": [{"n": 1}, {"n": 2}]}),
        ({"engine": "jsonpath", "template": {"none": "$.result.nowhere[*]"}}, {"none": []}),
        ({"engine": "static", "template": {"a": "{{ result.text }}", "b": "$.x", "c": None}},
         {"a": "{{ result.text }}", "b": "$.x", "c": None}),
    ],
)  # fmt: skip
def test_a_transform_gives_arguments(document: object, args: object) -> None:
    assert args_of(compiled(document).render(PAYLOAD)) == args


def test_what_is_rendered_is_never_read_again() -> None:
    evil = '{"admin": true, "x": "{{ secret }}"}'
    made = compiled({"template": {"note": "{{ result }}", "{{ key }}": "x"}}).render(
        {"result": evil, "secret": "s", "key": "k"}
    )
    assert args_of(made) == {"note": evil, "{{ key }}": "x"}


def test_a_transform_is_laid_over_the_arguments() -> None:
    base = args_of(arguments({"a": "{{ input.url }}", "b": 1}).render(PAYLOAD))
    assert base == {"a": "http://example.test/", "b": 1}
    assert isinstance(base, dict)
    assert args_of(compiled({"template": {"b": "2", "c": "3"}}).render(PAYLOAD, base)) == {
        **base,
        "b": "2",
        "c": "3",
    }


@pytest.mark.parametrize(
    ("document", "code", "words"),
    [
        ({"template": {"a": "{{ result.nowhere }}"}}, "transform.failed", "result.nowhere is not there"),
        ({"template": "{% for i in (1..99999) %}{% endfor %}"}, "transform.too_large", "bytes"),
        ({"template": "{% for i in (1..300) %}{% for j in (1..300) %}{% endfor %}{% endfor %}"},
         "transform.too_long", "steps"),
        ({"engine": "jsonpath", "template": {"a": "$.result.nowhere"}}, "transform.nothing_found", "$.result.nowhere"),
        ({"engine": "jsonpath", "template": {"a": "$.result.body.items[9]"}}, "transform.nothing_found", "items[9]"),
        ({"template": {"a": 1}, "schema": {"required_keys": ["a", "b.c"]}}, "transform.schema", "b.c is missing"),
        ({"template": {"a": "1"}, "schema": {"types": {"a": "integer"}}}, "transform.schema", "type integer"),
    ],
)  # fmt: skip
def test_a_transform_that_fails_gives_its_reason(document: object, code: str, words: str) -> None:
    made = compiled(document).render(PAYLOAD)
    assert made.args is None
    assert made.reason is not None
    assert made.reason.code == code
    assert words in made.reason.sentence


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        b"bytes",
        datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        {1, 2},
        {1: 2},
    ],
)
def test_a_value_that_is_not_json_is_refused(value: object) -> None:
    made = compiled({"engine": "jsonpath", "template": {"a": "$.x"}}).render({"x": value})
    assert made.reason is not None
    assert made.reason.code == "transform.not_json"


def test_two_hundred_megabytes_are_refused_by_every_engine() -> None:
    big = "x" * 1_000_000
    payload = {"big": big, "all": [big] * 200}
    for document in (
        {"template": {"a": ["{{ big }}"] * 200}},
        {"template": "{{ all | join }}"},
        {"template": "{% for each in all %}{{ each }}{% endfor %}"},
        {"engine": "jsonpath", "template": {"a": "$.all"}},
        {"engine": "jsonpath", "template": ["$.big"] * 200},
    ):
        made = compiled(document).render(payload)
        assert made.reason is not None
        assert made.reason.code == "transform.too_large"


@pytest.mark.parametrize(
    ("document", "key", "words"),
    [
        (None, "transform", "expected an object"),
        ({}, "transform.template", "is missing"),
        ({"engine": "erb", "template": ""}, "transform.engine", "no engine 'erb'"),
        ({"engine": "liquit", "template": ""}, "transform.engine", "Did you mean 'liquid'?"),
        ({"template": "", "shema": {}}, "transform.shema", "Did you mean 'schema'?"),
        ({"template": {"a": ["{{ x"]}}, "transform.template.a[0]", "line 1: {{ is not closed"),
        ({"template": {1: "x"}}, "transform.template", "is not text"),
        ({"template": {"a": float("nan")}}, "transform.template.a", "not a JSON number"),
        ({"engine": "jsonpath", "template": {"a": "result.x"}}, "transform.template.a", "begins with $"),
        ({"engine": "static", "template": {"a": b"x"}}, "transform.template", "not JSON"),
        ({"engine": "llm", "template": {"a": "x"}}, "transform.template", "text of a question"),
        ({"engine": "llm", "template": "x", "options": {"modle": "m"}}, "transform.options.modle", "Did you mean 'model'?"),
        ({"engine": "llm", "template": "x", "options": {"retries": 99}}, "transform.options.retries", "between 0 and 5"),
        ({"engine": "llm", "template": "x", "options": {"temperature": 9}}, "transform.options.temperature", "0 and 2"),
        ({"engine": "llm", "template": "x", "options": {"model": 1}}, "transform.options", "str"),
        ({"template": "x", "options": {}}, "transform.options", "llm only"),
        ({"template": "x", "schema": []}, "transform.schema", "expected an object"),
        ({"template": "x", "schema": {"keys": []}}, "transform.schema.keys", "no such part"),
        ({"template": "x", "schema": {"types": {"a": "int"}}}, "transform.schema.types.a", "Did you mean 'integer'?"),
        ({"template": "x", "schema": {"required_keys": [1]}}, "transform.schema.required_keys", "not a name"),
    ],
)  # fmt: skip
def test_a_transform_that_cannot_be_used_is_refused(document: object, key: str, words: str) -> None:
    with pytest.raises(InvalidDocument) as refused:
        compiled(document)
    assert key in [fault.key for fault in refused.value.faults]
    assert words in " ".join(map(str, refused.value.faults))


def test_nesting_and_number_of_templates_are_bounded() -> None:
    deep: object = "x"
    for _ in range(20):
        deep = [deep]
    with pytest.raises(InvalidDocument, match="nested deeper than 16"):
        compiled({"template": deep})
    with pytest.raises(InvalidDocument, match="at most 500"):
        compiled({"template": ["x"] * 501})
    with pytest.raises(InvalidDocument, match="more than 500 templates"):
        compiled({"template": [["x"] * 400, ["x"] * 400]})
    with pytest.raises(InvalidDocument, match="expected an object"):
        arguments(["x"])


def test_a_question_for_a_model_is_made_and_its_answer_is_taken() -> None:
    transform = compiled(
        {
            "engine": "llm",
            "template": "Sum up {{ result.text }}.",
            "options": {"model": "m", "temperature": 0.5},
        }
    )
    ask = transform.render(PAYLOAD).ask
    assert ask == ModelAsk(prompt="Sum up 3.", model="m", temperature=0.5, retries=1)
    assert args_of(transform.answered("It is three.", {"a": 1})) == {"a": 1, "value": "It is three."}


@pytest.mark.parametrize(
    "answer", ['{"n": 3}', '```json\n{"n": 3}\n```', '  {"n": 3}\n', '```\n{"n": 3}\n```']
)
def test_a_structured_answer_is_one_json_object(answer: str) -> None:
    transform = compiled({"engine": "llm", "template": "x", "schema": {"types": {"n": "integer"}}})
    ask = transform.render({}).ask
    assert ask is not None
    assert ask.is_structured
    assert args_of(transform.answered(answer)) == {"n": 3}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("three", "not JSON"),
        ("[3]", "not a JSON object"),
        ('{"n": "3"}', "type integer"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_an_answer_that_does_not_fit_is_asked_for_again(answer: str, words: str) -> None:
    transform = compiled(
        {"engine": "llm", "template": "Count.", "schema": {"types": {"n": "integer"}, "required_keys": ["n"]}}
    )
    made = transform.answered(answer)
    assert made.reason is not None
    assert made.reason.code == "transform.model_failed"
    assert words in made.reason.sentence
    ask = transform.render({}).ask
    assert ask is not None
    again = ask.again(made.reason.sentence)
    assert again.prompt.startswith("Count.\n\nThe last answer could not be used")
    assert again.prompt.endswith("one JSON object and nothing else.")


def test_a_transform_tells_which_names_it_reads() -> None:
    document = {"template": {"a": "{{ results.get.x }} {{ input.y }}"}}
    assert compiled(document).paths == {("results", "get", "x"), ("input", "y")}
    document = {
        "engine": "jsonpath",
        "template": {"a": "$.results['get-it'].x", "b": "$..x", "c": "$.result"},
    }
    assert compiled(document).paths == {("results", "get-it"), ("result",)}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON, st.dictionaries(st.text(max_size=3), JSON, max_size=3))
def test_any_document_is_refused_or_rendered_to_json_or_a_reason(
    document: object, payload: dict[str, object]
) -> None:
    for engine in ("liquid", "jsonpath", "static", "llm"):
        try:
            ready = compiled({"engine": engine, "template": document})
        except InvalidDocument:
            continue
        made = ready.render(payload)
        assert [made.args, made.ask, made.reason].count(None) == 2
