"""A condition as rows to be edited: groups and rules, each by its path of places from the root. Pure.

`tree_of` reads a document as the engine does (a lone rule, or several groups side by side, stand under one `all`), and
`document_of` writes it. What a rule holds besides fact, operator and value is kept.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, cast

Word = Literal["all", "any", "not"]
Path = tuple[int, ...]
WORDS: tuple[Word, ...] = ("all", "any", "not")
_RULE_KEYS = ("fact", "operator", "value")
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, as written."""

    fields: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def fact(self) -> str:
        """The path it looks at."""
        found = self.fields.get("fact")
        return found if isinstance(found, str) else ""

    @property
    def operator(self) -> str:
        """The operator's name."""
        found = self.fields.get("operator")
        return found if isinstance(found, str) else ""

    @property
    def value(self) -> object:
        """What it is compared with."""
        return self.fields.get("value")


@dataclass(frozen=True, slots=True)
class Group:
    """Rules and groups under one word."""

    word: Word = "all"
    members: tuple["Rule | Group", ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the editor."""

    path: Path
    item: Rule | Group

    @property
    def depth(self) -> int:
        """How far it is indented."""
        return len(self.path)


def tree_of(when: object) -> Group:
    """The rows of a condition; an empty group for none."""
    if not isinstance(when, dict):
        return Group()
    read = _item(cast("Mapping[str, object]", when))
    return read if isinstance(read, Group) else Group("all", (read,))


def document_of(root: Group) -> Mapping[str, object] | None:
    """The condition as it is written; None where it holds no rule at all."""
    made = _document(root)
    return cast("Mapping[str, object]", made) if made else None


def rows(root: Group) -> tuple[Row, ...]:
    """All lines from above, the root first."""
    return tuple(_rows(root, ()))


def item_at(root: Group, path: Path) -> Rule | Group | None:
    """What stands at a path."""
    here: Rule | Group = root
    for place in path:
        if not isinstance(here, Group) or place >= len(here.members):
            return None
        here = here.members[place]
    return here


def with_item(root: Group, path: Path, item: Rule | Group) -> Group:
    """The tree with another item there."""
    if not path:
        assert isinstance(item, Group), "the root is a group"
        return item
    at, *rest = path
    inner = root.members[at]
    fresh = item if not rest else with_item(cast("Group", inner), tuple(rest), item)
    return replace(root, members=(*root.members[:at], fresh, *root.members[at + 1 :]))


def added(root: Group, beside: Path, item: Rule | Group) -> tuple[Group, Path]:
    """One item more: at the end of the group at `beside`, or after the rule there; and the path it got."""
    here = item_at(root, beside)
    if isinstance(here, Group):
        made = replace(here, members=(*here.members, item))
        return with_item(root, beside, made), (*beside, len(here.members))
    *above, at = beside
    group = cast("Group", item_at(root, tuple(above)))
    members = (*group.members[: at + 1], item, *group.members[at + 1 :])
    return with_item(root, tuple(above), replace(group, members=members)), (*above, at + 1)


def removed(root: Group, path: Path) -> tuple[Group, Path]:
    """Without what stands there, and where to stand then; a group left empty goes too, but for the root."""
    if not path:
        return Group(root.word), ()
    *above, at = path
    group = cast("Group", item_at(root, tuple(above)))
    members = (*group.members[:at], *group.members[at + 1 :])
    if not members and above:
        return removed(root, tuple(above))
    made = with_item(root, tuple(above), replace(group, members=members))
    return made, (*above, min(at, len(members) - 1)) if members else tuple(above)


def shifted(root: Group, path: Path, by: int) -> tuple[Group, Path]:
    """An item moved up or down within its group."""
    if not path:
        return root, path
    *above, at = path
    group = cast("Group", item_at(root, tuple(above)))
    to = min(len(group.members) - 1, max(0, at + by))
    members = list(group.members)
    members.insert(to, members.pop(at))
    return with_item(root, tuple(above), replace(group, members=tuple(members))), (*above, to)


def count_rules(root: Group) -> int:
    """How many rules there are in all."""
    return sum(isinstance(row.item, Rule) for row in rows(root))


# Values as they are typed


def typed(words: str, takes: str) -> object:
    """The value a person means by these words, for an operator that takes that kind.

    `200` is a number and `"200"` text where both could be meant; a list is written `1, 2` or `[1, 2]`.
    """
    match takes:
        case "text" | "pattern":
            return words
        case "count":
            return _scalar(words)
        case "pair" | "set":
            return _many(words)
        case _:
            return _scalar(words)


def shown(value: object, takes: str = "any") -> str:
    """A value as a person would type it."""
    if takes in ("text", "pattern") and isinstance(value, str):
        return value
    if isinstance(value, str):
        return value if _scalar(value) == value and value else json.dumps(value, ensure_ascii=False)
    if isinstance(value, list) and takes in ("pair", "set"):
        members = cast("list[object]", value)
        if all(not isinstance(each, list | dict) for each in members):
            words = ", ".join(shown(each) for each in members)
            if _many(words) == members:
                return words
    return json.dumps(value, ensure_ascii=False)


def kind_of(value: object) -> str:
    """The type of a value in a word."""
    match value:
        case None:
            return "null"
        case bool():
            return "yes or no"
        case int() | float():
            return "number"
        case str():
            return "text"
        case list():
            return "list"
        case _:
            return "object"


def paths_of(payload: object, most: int = 400) -> tuple[str, ...]:
    """The paths of all values in a payload, the nearer ones first: what a fact may be."""
    found: list[str] = []
    level: list[tuple[str, object]] = [("", payload)]
    for _ in range(8):
        deeper: list[tuple[str, object]] = []
        for path, value in level:
            members: list[tuple[str, object]] = []
            if isinstance(value, dict):
                members = [(name, each) for name, each in cast("Mapping[str, object]", value).items()]
            elif isinstance(value, list):
                members = [(str(at), each) for at, each in enumerate(cast("list[object]", value)[:3])]
            for name, each in members:
                inner = f"{path}.{name}" if path else name
                found.append(inner)
                deeper.append((inner, each))
                if len(found) >= most:
                    return tuple(found)
        level = deeper
    return tuple(found)


def _item(keys: Mapping[str, object]) -> Rule | Group:
    if any(key in keys for key in _RULE_KEYS) or not any(key in keys for key in WORDS):
        return Rule(keys)
    groups = [_group(word, keys[word]) for word in WORDS if word in keys]
    return groups[0] if len(groups) == 1 else Group("all", tuple(groups))


def _group(word: Word, found: object) -> Group:
    members = cast("list[object]", found) if isinstance(found, list) else [found]
    return Group(
        word,
        tuple(_item(cast("Mapping[str, object]", each)) for each in members if isinstance(each, dict)),
    )


def _document(item: Rule | Group) -> object:
    if isinstance(item, Rule):
        return dict(item.fields)
    members = [made for each in item.members if (made := _document(each))]
    return {item.word: members} if members else None


def _rows(item: Rule | Group, path: Path) -> Iterator[Row]:
    yield Row(path, item)
    if isinstance(item, Group):
        for at, each in enumerate(item.members):
            yield from _rows(each, (*path, at))


def _scalar(words: str) -> object:
    text = words.strip()
    if text in ("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[text]
    if _NUMBER.fullmatch(text):
        number = float(text)
        if math.isfinite(number):
            return int(text) if re.fullmatch(r"-?\d+", text) else number
    if text[:1] in ('"', "[", "{"):
        try:
            return json.loads(text)
        except ValueError:
            return words
    return words


def _many(words: str) -> list[object]:
    text = words.strip()
    if text.startswith("["):
        try:
            found: object = json.loads(text)
        except ValueError:
            found = None
        if isinstance(found, list):
            return cast("list[object]", found)
    return [_scalar(part) for part in (piece.strip() for piece in _pieces(text)) if part]


def _pieces(text: str) -> Iterator[str]:
    """Parted at commas that stand in no quotes."""
    piece, is_quoted = "", False
    for letter in text:
        if letter == '"':
            is_quoted = not is_quoted
        if letter == "," and not is_quoted:
            yield piece
            piece = ""
        else:
            piece += letter
    yield piece
