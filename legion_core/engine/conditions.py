"""Pure: conditions as documents, read strictly once and then asked as often as needed.

    document ──compiled──▶ Condition ──decide(payload)──▶ true | false | undecided
                              └──explain(payload)──▶ the same, rule by rule

A document is `{"all": [...]}`, `{"any": [...]}`, `{"not": ...}`, several of them side by side (all must hold), nested
as needed, or one rule `{"fact", "operator", "value"}`. What is not understood is refused when it is saved, and what
cannot be decided when it is asked never passes: groups follow Kleene's three-valued logic, and only true is true.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

import msgspec

from legion_core.engine.facts import MISSING, Getter, getter, segments
from legion_core.engine.operators import OPERATORS, Answer, Operator, Test, text_form, value_fault
from legion_core.engine.patterns import compiled as compiled_pattern
from legion_core.engine.reasons import because
from legion_core.engine.refusal import FAULTS_MAX, InvalidDocument, nearest, shown
from legion_core.engine.types import Reason
from legion_core.kernel.config_check import Fault

DEPTH_MAX = 16
RULES_MAX = 1_000
_SHOWN_CHARS_MAX = 2_000
_GROUPS: tuple["GroupWord", ...] = ("all", "any", "not")
_RULE_KEYS = ("fact", "operator", "value")

GroupWord = Literal["all", "any", "not"]
Why = Literal["", "missing", "types_differ", "text_too_long"]
Ask = Callable[[object], Answer]


class RuleExplained(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one rule said. `why` tells what kept it from being decided; `result` is then false."""

    fact: str
    operator: str
    value: object = msgspec.field(default=msgspec.UNSET)  # null is a value, and is shown
    actual: object = msgspec.field(default=msgspec.UNSET)
    result: bool | msgspec.UnsetType = msgspec.UNSET
    why: Why = ""


class GroupExplained(msgspec.Struct, frozen=True, kw_only=True):
    """What a group said: `valid` is true only if it was decided and holds."""

    valid: bool
    group: GroupWord
    rules: tuple["RuleExplained | GroupExplained", ...]


@dataclass(frozen=True, slots=True)
class _Rule:
    fact: str
    parts: tuple[str, ...]
    operator: Operator
    value: object
    get: Getter
    test: Test

    def ask(self, payload: object) -> Answer:
        actual = self.get(payload)
        return self.operator.if_missing if actual is MISSING else self.test(actual)

    def explain(self, payload: object) -> tuple[Answer, RuleExplained]:
        actual = self.get(payload)
        answer = self.operator.if_missing if actual is MISSING else self.test(actual)
        why: Why = ""
        if answer is None:
            why = self._why(actual)
        return answer, RuleExplained(
            fact=self.fact,
            operator=self.operator.name,
            value=self.value,
            actual=None if actual is MISSING else _clipped(actual),
            result=answer is True,
            why=why,
        )

    def _why(self, actual: object) -> Why:
        if actual is MISSING:
            return "missing"
        is_long = self.operator.takes == "pattern" and text_form(actual) is not None
        return "text_too_long" if is_long else "types_differ"


@dataclass(frozen=True, slots=True)
class _Group:
    word: GroupWord
    members: tuple["_Rule | _Group", ...]

    def explain(self, payload: object) -> tuple[Answer, GroupExplained]:
        pairs = [member.explain(payload) for member in self.members]
        answer = _JOINED[self.word]([answer for answer, _ in pairs])
        rules = tuple(explained for _, explained in pairs)
        return answer, GroupExplained(valid=answer is True, group=self.word, rules=rules)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition ready to be asked. `facts` are the paths it looks at, in order, each once."""

    root: _Group
    facts: tuple[tuple[str, ...], ...]
    _ask: Ask

    def decide(self, payload: object) -> Answer:
        """True, false, or None where a rule could not be decided and it mattered. Payload: plain JSON."""
        return self._ask(payload)

    def evaluate(self, payload: object) -> bool:
        """Whether it holds; false also where it could not be decided."""
        return self._ask(payload) is True

    def explain(self, payload: object) -> GroupExplained:
        """Every rule with what it found; nothing is cut short."""
        return self.root.explain(payload)[1]

    def reason(self, payload: object) -> Reason | None:
        """Why it does not hold, by the rule that decided it; None if it holds."""
        answer = self._ask(payload)
        if answer is True:
            return None
        decisive = _decisive(self.root, payload, wanted=answer)
        assert decisive is not None, "a condition that does not hold has a rule that says so"
        return _reason(*decisive, payload)


def compiled(document: object, where: str = "when") -> Condition:
    """The condition ready to be asked; raises InvalidDocument with every fault in it."""
    reader = _Reader()
    root = reader.group(document, where, 1)
    if reader.faults:
        raise InvalidDocument("The condition", reader.faults)
    if not isinstance(root, _Group):
        root = _Group("all", (root,) if root is not None else ())
    return Condition(root, tuple(dict.fromkeys(reader.facts)), _ask(root))


def faults_of(document: object, where: str = "when") -> tuple[Fault, ...]:
    """Every fault in the document, named by its place under `where`; empty if it can be used."""
    reader = _Reader()
    reader.group(document, where, 1)
    return tuple(reader.faults)


class _Reader:
    """Reads a document of any shape; depth is bounded, so nesting cannot exhaust the stack."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.facts: list[tuple[str, ...]] = []
        self._rules = 0

    def group(self, document: object, where: str, depth: int) -> "_Rule | _Group | None":
        if depth > DEPTH_MAX:
            return self._fault(where, f"is nested deeper than {DEPTH_MAX} levels.")
        if not isinstance(document, dict):
            return self._fault(
                where, f"expected a rule or a group, found {shown(document)}.", 'Write {"all": [...]}.'
            )
        keys = cast("dict[object, object]", document)
        if any(key in keys for key in _RULE_KEYS):
            return self._rule(keys, where)
        for key in keys:
            if key not in _GROUPS:
                self._fault(
                    f"{where}.{key}", "there is no such group.", nearest(key, (*_GROUPS, *_RULE_KEYS))
                )
        if not keys:
            return self._fault(where, "holds no rule, and so would always pass.", "Leave it out instead.")
        groups = [
            self._members(word, keys[word], f"{where}.{word}", depth) for word in _GROUPS if word in keys
        ]
        found = [each for each in groups if each is not None]
        return found[0] if len(found) == 1 else _Group("all", tuple(found))

    def _members(self, word: GroupWord, found: object, where: str, depth: int) -> _Group | None:
        members: list[object]
        if word == "not" and isinstance(found, dict):
            members = [cast("object", found)]
            places = [where]
        elif isinstance(found, list):
            members = cast("list[object]", found)
            places = [f"{where}[{place}]" for place in range(len(members))]
        else:
            return self._fault(where, f"expected a list of rules, found {shown(found)}.")
        if not members:
            return self._fault(where, "is empty.", "A group needs at least one rule.")
        if self._rules + len(members) > RULES_MAX:
            self._rules += len(members)
            return self._fault(
                where, f"holds too many rules; at most {RULES_MAX} are taken in one condition."
            )
        read = [self.group(each, place, depth + 1) for each, place in zip(members, places, strict=True)]
        return _Group(word, tuple(each for each in read if each is not None))

    def _rule(self, keys: dict[object, object], where: str) -> _Rule | None:
        self._rules += 1
        before = len(self.faults)
        for key in keys:
            if key in _GROUPS:
                self._fault(where, f"is a rule and a group ({key}) at once.", "Put the rule into the group.")
            elif key not in _RULE_KEYS:
                self._fault(f"{where}.{key}", "there is no such part of a rule.", nearest(key, _RULE_KEYS))
        parts = self._fact(keys, where)
        operator = self._operator(keys, where)
        value = keys.get("value")
        if operator is not None:
            if "value" not in keys and not operator.is_unary:
                self._fault(where, f"{operator.name} needs a value.", "Add value: …")
            elif wrong := value_fault(operator, value):
                self._fault(f"{where}.value", wrong)
        if len(self.faults) > before or operator is None or not parts:
            return None
        self.facts.append(parts)
        fact = cast("str", keys["fact"])
        return _Rule(fact, parts, operator, value, getter(parts), operator.build(value))

    def _fact(self, keys: dict[object, object], where: str) -> tuple[str, ...]:
        fact = keys.get("fact")
        if not isinstance(fact, str):
            what = "the fact is missing." if "fact" not in keys else f"the fact is {shown(fact)}, not text."
            self._fault(f"{where}.fact", what, "Write the path of a value, such as result.status.")
            return ()
        try:
            return segments(fact)
        except ValueError as error:
            self._fault(f"{where}.fact", str(error))
            return ()

    def _operator(self, keys: dict[object, object], where: str) -> Operator | None:
        word = keys.get("operator")
        if isinstance(word, str) and word in OPERATORS:
            return OPERATORS[word]
        if "operator" not in keys:
            return self._fault(f"{where}.operator", "the operator is missing.", nearest("", tuple(OPERATORS)))
        hint = nearest(word, tuple(OPERATORS))
        return self._fault(f"{where}.operator", f"there is no operator {shown(word)}.", hint)

    def _fault(self, where: str, message: str, hint: str = "") -> None:
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(Fault(where[-200:], message, hint))


def _ask(member: _Rule | _Group) -> Ask:
    """One closure for the whole condition: a group of one is that one, a rule holds no more than it needs."""
    if isinstance(member, _Rule):
        get, test, if_missing = member.get, member.test, member.operator.if_missing

        def rule(payload: object) -> Answer:
            actual = get(payload)
            return if_missing if actual is MISSING else test(actual)

        return rule
    asks = tuple(_ask(each) for each in member.members)
    if len(asks) == 1 and member.word != "not":
        return asks[0]
    return {"all": _ask_all, "any": _ask_any, "not": _ask_not}[member.word](asks)


def _ask_all(asks: tuple[Ask, ...]) -> Ask:
    def every(payload: object) -> Answer:
        answer: Answer = True
        for ask in asks:
            one = ask(payload)
            if one is False:
                return False
            if one is None:
                answer = None
        return answer

    return every


def _ask_any(asks: tuple[Ask, ...]) -> Ask:
    def some(payload: object) -> Answer:
        answer: Answer = False
        for ask in asks:
            one = ask(payload)
            if one is True:
                return True
            if one is None:
                answer = None
        return answer

    return some


def _ask_not(asks: tuple[Ask, ...]) -> Ask:
    """None of its members holds: `not` of a list is `not any`."""
    some = _ask_any(asks)

    def none(payload: object) -> Answer:
        answer = some(payload)
        return None if answer is None else not answer

    return none


def _joined_all(answers: list[Answer]) -> Answer:
    if False in answers:
        return False
    return None if None in answers else True


def _joined_any(answers: list[Answer]) -> Answer:
    if True in answers:
        return True
    return None if None in answers else False


def _joined_not(answers: list[Answer]) -> Answer:
    answer = _joined_any(answers)
    return None if answer is None else not answer


_JOINED: dict[GroupWord, Callable[[list[Answer]], Answer]] = {
    "all": _joined_all,
    "any": _joined_any,
    "not": _joined_not,
}


def _decisive(
    member: _Rule | _Group, payload: object, *, wanted: Answer, is_negated: bool = False
) -> tuple[_Rule, bool] | None:
    """The first rule, in the order written, whose answer makes `member` answer `wanted`, and if it stands under `not`."""
    if isinstance(member, _Rule):
        return (member, is_negated) if member.ask(payload) is wanted else None
    is_not = member.word == "not"
    inner = not wanted if is_not and wanted is not None else wanted
    for each in member.members:
        if found := _decisive(each, payload, wanted=inner, is_negated=is_negated is not is_not):
            return found
    return None


def _reason(rule: _Rule, is_negated: bool, payload: object) -> Reason:
    _, told = rule.explain(payload)
    fact, operator = rule.fact, rule.operator.name
    actual = "missing" if rule.get(payload) is MISSING else shown(told.actual)
    value = "" if rule.operator.is_unary else shown(rule.value)
    match told.why:
        case "missing":
            return because("condition.fact_missing", fact=fact)
        case "types_differ":
            return because("condition.types_differ", fact=fact, operator=operator, value=value, actual=actual)
        case "text_too_long":
            limit = compiled_pattern(cast("str", rule.value)).text_bytes_max
            length = len(text_form(rule.get(payload)) or "")
            return because("condition.text_too_long", fact=fact, length=length, limit=limit)
        case "":
            wish = " ".join(filter(None, ("not" if is_negated else "", fact, operator, value)))
            return because(
                "condition.false", wish=wish, fact=fact, operator=operator, value=value, actual=actual
            )


def _clipped(value: object) -> object:
    if isinstance(value, str) and len(value) > _SHOWN_CHARS_MAX:
        return f"{value[:_SHOWN_CHARS_MAX]}…"
    return value
