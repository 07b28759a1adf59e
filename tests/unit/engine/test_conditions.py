import contextlib
import json
import re
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.engine.conditions import DEPTH_MAX, RULES_MAX, compiled, faults_of
from legion_core.engine.operators import OPERATORS
from legion_core.engine.refusal import InvalidDocument
from tests.unit.engine import naive_conditions as naive
from tests.unit.engine.attacks import attacks

DOCUMENT = (Path(__file__).parents[3] / "docs" / "conditions.md").read_text(encoding="utf-8")
ANSWERS = {"yes": True, "no": False, "·": None}


def table() -> list[tuple[str, str, dict[str, str]]]:
    """Every row of the published table: operator, value, and the answer by fact."""
    part = DOCUMENT[DOCUMENT.index("| operator | value |") :]
    lines = [
        line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith(("| operator", "| `"))
    ]
    head = [cell.strip("` ") for cell in lines[0][2:]]
    return [
        (operator.strip("` "), value.strip("` "), dict(zip(head, answers, strict=True)))
        for operator, value, *answers in lines[1:]
    ]


def rule(operator: str, value: str) -> dict[str, object]:
    made: dict[str, object] = {"fact": "x", "operator": operator}
    if value:
        made["value"] = json.loads(value)
    return made


@pytest.mark.parametrize(("operator", "value", "answers"), table())
def test_every_cell_of_the_published_table_holds(operator: str, value: str, answers: dict[str, str]) -> None:
    document = rule(operator, value)
    condition = compiled(document)
    payloads = {fact: {} if fact == "missing" else {"x": json.loads(fact)} for fact in answers}
    expected = {fact: ANSWERS[answer] for fact, answer in answers.items()}
    assert {fact: condition.decide(payload) for fact, payload in payloads.items()} == expected
    assert {fact: naive.decide(document, payload) for fact, payload in payloads.items()} == expected


def test_the_table_has_every_operator() -> None:
    assert {operator for operator, *_ in table()} == set(OPERATORS)
    assert len([each for each in OPERATORS.values() if not each.is_unary]) == 14
    assert len([each for each in OPERATORS.values() if each.is_unary]) == 9


def as_sent(explained: object) -> object:
    return msgspec.json.decode(msgspec.json.encode(explained))


@pytest.mark.requirement("engine.conditions")
def test_a_mixed_condition_is_explained_rule_by_rule() -> None:
    condition = compiled(
        {
            "all": [{"fact": "result.status", "operator": "equal", "value": 200}],
            "not": {"fact": "result.body", "operator": "contains", "value": "error"},
        }
    )
    payload = {"result": {"status": 200, "body": "an error"}}
    assert not condition.evaluate(payload)
    assert as_sent(condition.explain(payload)) == {
        "valid": False,
        "group": "all",
        "rules": [
            {
                "valid": True,
                "group": "all",
                "rules": [
                    {
                        "fact": "result.status",
                        "operator": "equal",
                        "value": 200,
                        "actual": 200,
                        "result": True,
                    }
                ],
            },
            {
                "valid": False,
                "group": "not",
                "rules": [
                    {
                        "fact": "result.body",
                        "operator": "contains",
                        "value": "error",
                        "actual": "an error",
                        "result": True,
                    }
                ],
            },
        ],
    }


def test_a_plain_group_is_explained_in_the_shape_of_the_contract() -> None:
    explained = compiled({"all": [{"fact": "a", "operator": "nil"}]}).explain({})
    assert as_sent(explained) == {
        "valid": True,
        "group": "all",
        "rules": [{"fact": "a", "operator": "nil", "value": None, "actual": None, "result": True}],
    }


@pytest.mark.parametrize("operator", [name for name, each in OPERATORS.items() if each.if_missing is None])
def test_an_unknown_field_never_makes_a_condition_true(operator: str) -> None:
    value = {"pair": [1, 2], "text": "a", "pattern": "a", "count": 1}.get(OPERATORS[operator].takes, 1)
    unknown = {"fact": "nowhere.to.be.found", "operator": operator, "value": value}
    for document in ({"all": [unknown]}, {"any": [unknown]}, {"not": unknown}, {"not": {"not": unknown}}):
        condition = compiled(document)
        assert not condition.evaluate({"x": 1})
        reason = condition.reason({"x": 1})
        assert reason is not None
        assert reason.code == "condition.fact_missing"
        assert "nowhere.to.be.found" in reason.sentence


@pytest.mark.parametrize(
    ("document", "payload", "code", "words"),
    [
        (rule("equal", "1"), {"x": 2}, "condition.false", "asks for x equal 1, and x is 2."),
        ({"not": rule("equal", "1")}, {"x": 1}, "condition.false", "asks for not x equal 1, and x is 1."),
        (rule("is_true", ""), {"x": False}, "condition.false", "asks for x is_true, and x is false."),
        (rule("not_nil", ""), {}, "condition.false", "asks for x not_nil, and x is missing."),
        (rule("greater_than", "9"), {"x": "10"}, "condition.types_differ", "compares x by greater_than with 9"),
        (rule("matches", '"a"'), {"x": "b" * 70_000}, "condition.text_too_long", "70000 characters"),
        ({"any": [rule("equal", "1"), rule("equal", '"a"')]}, {"x": 2}, "condition.types_differ", "x"),
        ({"all": [rule("equal", '"a"'), rule("equal", "1")]}, {"x": 2}, "condition.false", "x equal 1"),
    ],
)  # fmt: skip
def test_a_condition_that_does_not_hold_says_why(
    document: object, payload: object, code: str, words: str
) -> None:
    reason = compiled(document).reason(payload)
    assert reason is not None
    assert reason.code == code
    assert words in reason.sentence


def test_a_condition_that_holds_has_nothing_to_explain() -> None:
    assert compiled(rule("equal", "1")).reason({"x": 1}) is None


@pytest.mark.parametrize(
    ("document", "key", "words"),
    [
        (None, "when", "expected a rule or a group"),
        ([], "when", "expected a rule or a group"),
        ({}, "when", "would always pass"),
        ({"all": []}, "when.all", "is empty"),
        ({"any": {}}, "when.any", "expected a list"),
        ({"not": []}, "when.not", "is empty"),
        ({"al": [rule("nil", "")]}, "when.al", "Did you mean 'all'?"),
        ({"all": [rule("nil", ""), "x"]}, "when.all[1]", "expected a rule"),
        ({"fact": "x"}, "when.operator", "is missing"),
        ({"operator": "nil"}, "when.fact", "is missing"),
        ({"fact": 1, "operator": "nil"}, "when.fact", "not text"),
        ({"fact": "a..b", "operator": "nil"}, "when.fact", "is empty"),
        ({"fact": "a\\b", "operator": "nil"}, "when.fact", "backslash"),
        ({"fact": "a" * 501, "operator": "nil"}, "when.fact", "at most 500"),
        ({"fact": ".".join("a" * 33), "operator": "nil"}, "when.fact", "at most 32"),
        ({"fact": "x", "operator": "equals", "value": 1}, "when.operator", "Did you mean 'equal'?"),
        ({"fact": "x", "operator": "EQUAL", "value": 1}, "when.operator", "no operator"),
        ({"fact": "x", "operator": ["equal"], "value": 1}, "when.operator", "no operator"),
        ({"fact": "x", "operator": "equal"}, "when", "needs a value"),
        ({"fact": "x", "operator": "nil", "value": 1}, "when.value", "takes no value"),
        ({"fact": "x", "operator": "nil", "all": []}, "when", "a rule and a group"),
        ({"fact": "x", "operator": "nil", "vaule": 1}, "when.vaule", "Did you mean 'value'?"),
        (rule("greater_than", "null"), "when.value", "a number or text"),
        (rule("greater_than", "true"), "when.value", "a number or text"),
        (rule("less_than", "[1]"), "when.value", "a number or text"),
        (rule("between", "5"), "when.value", "a list of two"),
        (rule("between", "[1]"), "when.value", "a list of two"),
        (rule("between", "[9, 1]"), "when.value", "would never hold"),
        (rule("between", '[1, "b"]'), "when.value", "two numbers or two texts"),
        (rule("contains", "[1]"), "when.value", "contains takes"),
        (rule("starts_with", "1"), "when.value", "takes text"),
        (rule("matches", "1"), "when.value", "takes text"),
        (rule("matches", '"("'), "when.value", "missing )"),
        (rule("matches", '"(?=a)"'), "when.value", "looks ahead"),
        (rule("matches", r'"(a)\\1"'), "when.value", "back references"),
        (rule("matches", '"((a{100}){100}){100}"'), "when.value", "pattern"),
        (rule("in_set", "[]"), "when.value", "at least one"),
        (rule("in_set", "{}"), "when.value", "takes a list"),
        (rule("size_equal", "-1"), "when.value", "whole number"),
        (rule("size_equal", "1.5"), "when.value", "whole number"),
        ({"fact": "x", "operator": "equal", "value": float("nan")}, "when.value", "not a JSON number"),
        ({"fact": "x", "operator": "equal", "value": b"x"}, "when.value", "not JSON"),
        ({"fact": "x", "operator": "equal", "value": "x" * 10_001}, "when.value", "at most 10000"),
        ({"fact": "x", "operator": "in_set", "value": [1] * 2000}, "when.value", "more than"),
    ],
)
def test_a_mistyped_condition_is_refused_and_never_passes(document: object, key: str, words: str) -> None:
    faults = faults_of(document)
    assert [fault.key for fault in faults] == [key]
    assert words in str(faults[0])
    with pytest.raises(InvalidDocument) as refused:
        compiled(document)
    assert refused.value.faults == faults


def test_all_faults_are_told_at_once() -> None:
    document = {"all": [{"fact": "", "operator": "eq"}, {"nott": 1}, {"any": [rule("between", "1")]}]}
    assert [fault.key for fault in faults_of(document)] == [
        "when.all[0].fact",
        "when.all[0].operator",
        "when.all[1].nott",
        "when.all[2].any[0].value",
    ]


def test_depth_and_size_are_bounded_without_a_recursion_error() -> None:
    deep: object = rule("nil", "")
    for _ in range(100_000):
        deep = {"not": deep}
    assert "nested deeper" in str(faults_of(deep)[0])
    value: object = 1
    for _ in range(100_000):
        value = [value]
    assert "nested deeper" in str(faults_of({"fact": "x", "operator": "equal", "value": value})[0])
    fits: object = rule("nil", "")
    for _ in range(DEPTH_MAX - 1):
        fits = {"not": fits}
    assert faults_of(fits) == ()
    assert "nested deeper" in str(faults_of({"not": fits})[0])
    assert "too many rules" in str(faults_of({"all": [rule("nil", "")] * (RULES_MAX + 1)})[0])
    assert faults_of({"all": [rule("nil", "")] * RULES_MAX}) == ()
    while isinstance(deep, dict):  # taken apart by hand: the interpreter would recurse to free it
        deep = deep.get("not")
    while isinstance(value, list):
        value = value.pop()


def test_a_document_of_very_many_faults_is_told_in_part() -> None:
    assert len(faults_of({"all": [{"fact": "", "operator": ""}] * 500})) == 100


@pytest.mark.parametrize(
    ("fact", "payload", "found"),
    [
        ("a.b", {"a": {"b": 1}}, True),
        ("a.1", {"a": [0, 1]}, True),
        ("a.2", {"a": [0, 1]}, False),
        ("a.-1", {"a": [0, 1]}, False),
        ("a.0.b", {"a": [{"b": 1}]}, True),
        ("a.0", {"a": {"0": 1}}, True),
        ("0", [1], True),
        ("a\\.b", {"a.b": 1}, True),
        ("a\\.b", {"a": {"b": 1}}, False),
        ("a\\\\.b", {"a\\": {"b": 1}}, True),
        ("a.b", {"a": None}, False),
        ("a.b", {"a": "text"}, False),
        ("a.0", {"a": "text"}, False),
        ("__class__", {}, False),
        ("a.__len__", {"a": [1]}, False),
        ("__proto__", {"__proto__": 1}, True),
        ("a.٣", {"a": [0, 0, 0, 0]}, False),
        ("a.99999999999999999999", {"a": [1]}, False),
    ],
)
def test_a_fact_is_found_by_its_path_and_nothing_else_is(fact: str, payload: object, found: bool) -> None:
    assert compiled({"fact": fact, "operator": "not_nil"}).evaluate(payload) is found


def test_a_condition_tells_which_facts_it_looks_at() -> None:
    document = {"any": [rule("nil", ""), {"fact": "a\\.b.c", "operator": "nil"}, rule("equal", "1")]}
    assert compiled(document).facts == (("x",), ("a.b", "c"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, "", "a", "ab", "1", "10"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=5,
)
FACTS = st.sampled_from(["a", "b", "a.b", "a.0", "b.a", "c"])


@st.composite
def rules(draw: st.DrawFn) -> dict[str, object]:
    operator = draw(st.sampled_from(list(OPERATORS.values())))
    made: dict[str, object] = {"fact": draw(FACTS), "operator": operator.name}
    scalar = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, "", "a", "ab", "1"])
    number, text = st.integers(-3, 3), st.sampled_from(["", "a", "ab", "b", "1"])
    values: dict[str, st.SearchStrategy[object]] = {
        "any": JSON,
        "scalar": scalar,
        "ordered": number | text | st.just(0.5),
        "pair": st.lists(number, min_size=2, max_size=2).map(sorted)
        | st.lists(text, min_size=2, max_size=2).map(sorted),
        "text": text,
        "pattern": st.sampled_from(["^a", "b$", "^$", "[0-9]+", "a|1"]),
        "set": st.lists(scalar, min_size=1, max_size=3) | scalar,
        "count": st.integers(0, 3),
    }
    if not operator.is_unary:
        made["value"] = draw(values[operator.takes])
    return made


DOCUMENTS = st.recursive(
    rules(),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda each: {"all": each}),
        st.lists(inner, min_size=1, max_size=3).map(lambda each: {"any": each}),
        inner.map(lambda each: {"not": each}),
        st.lists(inner, min_size=1, max_size=2).map(lambda each: {"not": each}),
        st.tuples(inner, inner).map(lambda pair: {"all": [pair[0]], "any": [pair[1]]}),
    ),
    max_leaves=6,
)
PAYLOADS = st.dictionaries(st.sampled_from("ab"), JSON, max_size=2)


@given(DOCUMENTS, PAYLOADS)
def test_any_document_agrees_with_a_naive_reading(document: dict[str, object], payload: object) -> None:
    condition = compiled(document)
    expected = naive.decide(document, payload)
    assert condition.decide(payload) is expected
    assert condition.evaluate(payload) is (expected is True)
    assert condition.explain(payload).valid is (expected is True)
    assert (condition.reason(payload) is None) is (expected is True)


def test_many_random_documents_agree_with_a_naive_reading(count_factor: int) -> None:
    """The counted form of the property: 5,000 here, 50,000 documents of two payloads each at full count."""
    agreed = naive.compare(seed=7, documents=10_000 * count_factor, payloads=1)
    assert agreed == 10_000 * count_factor


def test_hostile_facts_and_patterns_end_in_time_and_typed() -> None:
    payload = {"a": {"a": "a" * 5_000}, "x": "a" * 30_000 + "!"}
    for text in [*attacks(1_000, "condition"), *attacks(1_000, "pattern")]:
        for document in (
            {"fact": text, "operator": "not_nil"},
            {"fact": "x", "operator": "matches", "value": text},
            {"fact": "x", "operator": text, "value": text},
            {text: [{"fact": "x", "operator": "nil"}]},
        ):
            started_s = time.process_time()
            with contextlib.suppress(InvalidDocument):
                compiled(document).evaluate(payload)
            assert time.process_time() - started_s < 0.3, text[:80]


def test_the_document_names_the_bounds_in_force() -> None:
    assert f"{DEPTH_MAX} levels, {RULES_MAX:,} rules" in re.sub(r"\s+", " ", DOCUMENT)
