import contextlib
import json
import time
from pathlib import Path
from typing import Any

import pytest

from legion_core.engine.json_path import PathFault, path
from tests.unit.engine.attacks import attacks

SUITE = Path(__file__).parent / "data" / "jsonpath-compliance.json"


def agrees(case: dict[str, Any]) -> bool:
    try:
        ready = path(case["selector"])
    except PathFault:
        return bool(case.get("invalid_selector"))
    if case.get("invalid_selector"):
        return False
    return ready.find(case["document"]) in ([case["result"]] if "result" in case else case["results"])


def test_the_whole_compliance_suite_agrees() -> None:
    cases = json.loads(SUITE.read_text(encoding="utf-8"))["tests"]
    assert len(cases) > 700
    assert [case["name"] for case in cases if not agrees(case)] == []


@pytest.mark.parametrize(
    ("text", "is_single"),
    [
        ("$", True),
        ("$.a[0]['b']", True),
        ("$.a[-1]", True),
        ("$.a[*]", False),
        ("$..a", False),
        ("$[0,1]", False),
    ],
)
def test_a_path_knows_if_it_names_one_place(text: str, is_single: bool) -> None:
    assert path(text).is_single is is_single


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "begins with $"),
        ("a.b", "begins with $"),
        (" $.a", "begins with $"),
        ("$.a ", "is not a path"),
        ("$[", "is not a path"),
        ("$[?@.a.nonesuch()]", "is not a path"),
        ("$[?keys(@)]", "is not a path"),
        ("$." + "a" * 1_000, "at most 1000"),
        ("$" + "[?@" * 300, "is not a path"),
    ],
)
def test_what_is_no_path_is_refused_with_a_sentence(text: str, words: str) -> None:
    with pytest.raises(PathFault) as refused:
        path(text)
    assert words in str(refused.value)


def tree(width: int, depth: int) -> object:
    return [tree(width, depth - 1) for _ in range(width)] if depth else 1


@pytest.mark.parametrize("text", ["$..*..*..*..*", "$[?$..*]", "$..[?$..[?@.a]]"])
def test_a_path_that_would_look_at_too_much_is_refused_before_it_begins(text: str) -> None:
    ready = path(text)
    started_s = time.process_time()
    with pytest.raises(PathFault, match="would look at about"):
        ready.find(tree(4, 6))
    assert time.process_time() - started_s < 0.5


def test_a_path_that_finds_too_much_is_stopped() -> None:
    with pytest.raises(PathFault, match="more than 100000 values"):
        path("$[*,*]").find([0] * 60_000)
    assert len(path("$[*]").find([0] * 100_000)) == 100_000


def test_a_value_nested_too_deeply_is_refused_without_a_recursion_error() -> None:
    value: object = 1
    for _ in range(500):
        value = [value]
    with pytest.raises(PathFault, match="cannot be followed"):
        path("$..a").find(value)


def test_patterns_in_filters_take_linear_time() -> None:
    started_s = time.process_time()
    assert path("$[?search(@, '(a+)+$')]").find(["a" * 20_000 + "b"]) == []
    assert path("$[?match(@, 'a.c')]").find(["abc", "a\nc", "xabc", 1, None]) == ["abc"]
    assert path("$[?search(@, '(?=a)')]").find(["a"]) == []
    assert time.process_time() - started_s < 0.5


def test_hostile_paths_end_in_time_and_typed(count_factor: int) -> None:
    data = {"a": [{"a": "a" * 50, "b": n} for n in range(30)], "b": {"c": {"d": [1, 2, 3]}}}
    slow: list[str] = []
    for text in attacks(200 * count_factor, "jsonpath"):
        started_s = time.process_time()
        with contextlib.suppress(PathFault):
            path(text).find(data)
        if time.process_time() - started_s > 2.0:
            slow.append(text)
    assert slow == []
