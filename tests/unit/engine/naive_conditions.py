"""A second reading of `docs/conditions.md`, as plain as can be, to hold the compiled one against."""

import json
import random
import re
from typing import Any

from legion_core.engine.conditions import compiled

Answer = bool | None
GONE = object()


def find(payload: Any, fact: str) -> Any:
    for part in re.split(r"(?<!\\)\.", fact):
        name = part.replace("\\.", ".")
        if isinstance(payload, dict) and name in payload:
            payload = payload[name]
        elif isinstance(payload, list) and name.isdigit() and int(name) < len(payload):
            payload = payload[int(name)]
        else:
            return GONE
    return payload


def kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return type(value).__name__


def plain(value: Any) -> str:
    """JSON text in which 1 and 1.0 are the same, and true is not 1."""

    def norm(each: Any) -> Any:
        if isinstance(each, bool) or each is None or isinstance(each, str):
            return each
        if isinstance(each, int | float):
            return f"number {float(each)}"
        if isinstance(each, list):
            return [norm(one) for one in each]
        return {name: norm(one) for name, one in each.items()}

    return json.dumps(norm(value), sort_keys=True)


def equal(actual: Any, value: Any) -> Answer:
    if actual is None or value is None:
        return actual is value
    if kind(actual) != kind(value):
        return None
    return plain(actual) == plain(value)


def text(actual: Any) -> str | None:
    return actual if isinstance(actual, str) else json.dumps(actual) if kind(actual) == "number" else None


def member(actual: Any, values: list[Any]) -> Answer:
    answers = [equal(actual, each) for each in values]
    return True if True in answers else False if False in answers else None


def both(actual: Any, value: Any) -> bool:
    return kind(actual) == kind(value) and kind(actual) in ("number", "str")


def apply(operator: str, actual: Any, value: Any) -> Answer:
    if operator in UNARY:
        return UNARY[operator](None if actual is GONE else actual)
    if actual is GONE:
        return None
    if operator.startswith("not_"):
        answer = apply({"not_equal": "equal", "not_in_set": "in_set"}[operator], actual, value)
        return None if answer is None else not answer
    if operator == "equal":
        return equal(actual, value)
    if operator == "in_set":
        return member(actual, value if isinstance(value, list) else [value])
    if operator == "between":
        return value[0] <= actual <= value[1] if both(actual, value[0]) else None
    if operator == "size_equal":
        return len(actual) == value if isinstance(actual, str | list | dict) else None
    if operator in ORDER:
        return ORDER[operator](actual, value) if both(actual, value) else None
    if operator == "contains" and isinstance(actual, list):
        return any(equal(each, value) for each in actual)
    if operator == "contains" and not isinstance(value, str):
        return None
    if operator == "contains" and isinstance(actual, dict):
        return value in actual
    form = text(actual)
    return None if form is None else bool(TEXT[operator](form, value))


UNARY: dict[str, Any] = {
    "nil": lambda a: a is None,
    "not_nil": lambda a: a is not None,
    "is_true": lambda a: a not in (None, False, 0, "", [], {}),
    "is_false": lambda a: a in (None, False, 0, "", [], {}),
    "is_string": lambda a: isinstance(a, str),
    "is_array": lambda a: isinstance(a, list),
    "is_integer": lambda a: kind(a) == "number" and isinstance(a, int),
    "empty": lambda a: a is None or (isinstance(a, str | list | dict) and len(a) == 0),
    "not_empty": lambda a: not (a is None or (isinstance(a, str | list | dict) and len(a) == 0)),
}
ORDER: dict[str, Any] = {
    "greater_than": lambda a, b: a > b,
    "less_than": lambda a, b: a < b,
    "greater_or_equal": lambda a, b: a >= b,
    "less_or_equal": lambda a, b: a <= b,
}
TEXT: dict[str, Any] = {
    "contains": lambda a, b: b in a,
    "starts_with": lambda a, b: a.startswith(b),
    "ends_with": lambda a, b: a.endswith(b),
    "matches": lambda a, b: re.search(b.replace("$", r"\Z"), a),
}


def decide(document: Any, payload: Any) -> Answer:
    if "fact" in document:
        return apply(document["operator"], find(payload, document["fact"]), document.get("value"))
    answers: list[Answer] = []
    for word in ("all", "any", "not"):
        if word not in document:
            continue
        inner = document[word] if isinstance(document[word], list) else [document[word]]
        found = [decide(each, payload) for each in inner]
        if word == "all":
            answers.append(False if False in found else None if None in found else True)
        else:
            some = True if True in found else None if None in found else False
            answers.append(some if word == "any" else None if some is None else not some)
    return False if False in answers else None if None in answers else True


SCALARS = [None, True, False, 0, 1, 10, -1, 0.5, 1.0, "", "a", "ab", "1", "10", "b"]
VALUES: dict[str, Any] = {
    "between": [[0, 5], [-1, 0.5], ["a", "b"], ["", "1"]],
    "contains": SCALARS,
    "starts_with": ["", "a", "1"],
    "ends_with": ["", "b", "0"],
    "matches": ["^a", "b$", "^$", "[0-9]+", "a|1"],
    "size_equal": [0, 1, 2],
    "in_set": [[1, "a"], [None], ["ab", "b"], 1, [True]],
    "not_in_set": [[1, "a"], [None], ["ab", "b"], 1, [True]],
    "equal": [*SCALARS, [], [1, "a"], {}, {"a": 1.0}],
    "not_equal": [*SCALARS, [], [1, "a"], {}, {"a": 1.0}],
} | {name: [0, 1, 0.5, "a", "1", ""] for name in ORDER}


def random_value(chance: random.Random, depth: int = 2) -> Any:
    roll = chance.random()
    if depth and roll < 0.15:
        return [random_value(chance, depth - 1) for _ in range(chance.randrange(3))]
    if depth and roll < 0.35:
        return {name: random_value(chance, depth - 1) for name in "ab" if chance.random() < 0.6}
    return chance.choice(SCALARS)


def random_document(chance: random.Random, depth: int = 3) -> dict[str, Any]:
    if depth and chance.random() < 0.5:
        inner = [random_document(chance, depth - 1) for _ in range(chance.randrange(1, 4))]
        word = chance.choice(["all", "any", "not"])
        if word != "not" and chance.random() < 0.2:
            return {word: inner, "not": random_document(chance, depth - 1)}
        return {word: inner}
    operator = chance.choice([*UNARY, *VALUES])
    made = {"fact": chance.choice(["a", "b", "a.b", "a.0", "b.a", "c"]), "operator": operator}
    return made if operator in UNARY else made | {"value": chance.choice(VALUES[operator])}


def compare(seed: int, documents: int, payloads: int) -> int:
    """How many answers agreed; the first that does not is an AssertionError with all one needs to see it."""
    chance = random.Random(seed)
    agreed = 0
    for _ in range(documents):
        document = random_document(chance)
        condition = compiled(document)
        for _ in range(payloads):
            payload = {name: random_value(chance) for name in "ab" if chance.random() < 0.9}
            assert condition.decide(payload) is decide(document, payload), (document, payload)
            agreed += 1
    return agreed
