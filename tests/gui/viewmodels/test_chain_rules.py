"""A condition as rows: read, changed and written; and values as a person types them."""

import pytest

from app.viewmodels.chain_rules import (
    Group,
    Rule,
    added,
    count_rules,
    document_of,
    paths_of,
    removed,
    rows,
    shifted,
    shown,
    tree_of,
    typed,
    with_item,
)
from legion_core.engine.conditions import compiled
from legion_core.engine.operators import OPERATORS

A = {"fact": "result.a", "operator": "equal", "value": 1}
B = {"fact": "result.b", "operator": "nil"}
WHEN = {"all": [A, {"any": [B, {"not": [A]}]}]}


def test_a_condition_is_read_as_rows_and_written_as_it_was() -> None:
    tree = tree_of(WHEN)
    assert [row.depth for row in rows(tree)] == [0, 1, 1, 2, 2, 3]
    assert document_of(tree) == WHEN
    assert count_rules(tree) == 3


@pytest.mark.parametrize(
    ("when", "same"),
    [
        (A, {"all": [A]}),
        ({"not": A}, {"not": [A]}),
        ({"all": [A], "any": [B]}, {"all": [{"all": [A]}, {"any": [B]}]}),
    ],
)
def test_other_ways_to_write_one_mean_the_same(when: object, same: object) -> None:
    made = document_of(tree_of(when))
    assert made == same
    for payload in ({"result": {"a": 1, "b": 2}}, {"result": {"a": 2}}, {}):
        assert compiled(when).evaluate(payload) == compiled(made).evaluate(payload)


def test_a_rule_is_added_after_the_chosen_one_or_at_the_end_of_the_chosen_group() -> None:
    tree = tree_of(WHEN)
    after, path = added(tree, (0,), Rule(B))
    assert path == (1,)
    assert document_of(after) == {"all": [A, B, WHEN["all"][1]]}
    inside, path = added(tree, (1,), Rule(A))
    assert path == (1, 2)
    assert document_of(inside) == {"all": [A, {"any": [B, {"not": [A]}, A]}]}


def test_a_group_left_empty_goes_and_the_last_rule_leaves_no_condition() -> None:
    tree = tree_of(WHEN)
    without, path = removed(tree, (1, 1, 0))
    assert document_of(without) == {"all": [A, {"any": [B]}]}
    assert path == (1, 0)
    alone = tree_of({"all": [A]})
    assert document_of(removed(alone, (0,))[0]) is None


def test_a_row_moves_within_its_group_and_no_further() -> None:
    tree = tree_of({"all": [A, B]})
    moved, path = shifted(tree, (0,), 1)
    assert (document_of(moved), path) == ({"all": [B, A]}, (1,))
    assert shifted(moved, (1,), 1)[1] == (1,)


def test_what_a_rule_holds_besides_is_kept_to_be_told() -> None:
    odd = {"fact": "a", "operator": "equal", "value": 1, "note": "x"}
    assert document_of(tree_of({"any": [odd]})) == {"any": [odd]}
    assert document_of(with_item(Group("all", (Rule(odd),)), (0,), Rule(A))) == {"all": [A]}


@pytest.mark.parametrize(
    ("words", "takes", "value"),
    [
        ("200", "any", 200), ('"200"', "any", "200"), ("1.5", "ordered", 1.5), ("true", "any", True), ("null", "any", None),
        ("warm", "any", "warm"), ("200", "text", "200"), ("^a{1,3}$", "pattern", "^a{1,3}$"), ("1, 5", "pair", [1, 5]),
        ("[1, 5]", "pair", [1, 5]), ('a, "b, c", 3', "set", ["a", "b, c", 3]), ("3", "count", 3), ("007", "any", "007"),
        ("", "any", ""), ("{not json", "any", "{not json"), ('{"a": 1}', "any", {"a": 1}),
    ],
)  # fmt: skip
def test_a_value_is_what_a_person_means_and_is_shown_so_that_it_means_the_same_again(
    words: str, takes: str, value: object
) -> None:
    made = typed(words, takes)
    assert made == value
    assert type(made) is type(value)
    assert typed(shown(made, takes), takes) == value


def test_every_operator_takes_what_the_editor_gives_it() -> None:
    samples = {
        "any": "200", "scalar": "x", "ordered": "1", "pair": "1, 5", "text": "a", "pattern": "^a", "set": "a, b", "count": "2",
    }  # fmt: skip
    for operator in OPERATORS.values():
        rule: dict[str, object] = {"fact": "result.a", "operator": operator.name}
        if not operator.is_unary:
            rule["value"] = typed(samples[operator.takes], operator.takes)
        compiled({"all": [rule]})


def test_the_paths_of_a_payload_are_offered_from_the_near_to_the_far() -> None:
    found = paths_of({"result": {"items": [{"name": "a"}]}, "input": {}})
    assert found == ("result", "input", "result.items", "result.items.0", "result.items.0.name")
    assert len(paths_of({"x": {str(at): at for at in range(2000)}})) == 400
