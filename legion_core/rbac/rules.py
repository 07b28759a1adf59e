"""Pure: paths, globs and scopes, and whether one covers another.

A path is words with `/` between, such as `tasks/http/request/get`. In a glob `+` stands for exactly one word and `*`, as the
last word only, for one or more; everything else stands for itself. There are no partial wildcards and no inheritance.
What is allowed must be spelled exactly; what is denied is denied however it is spelled, so that an odd letter does not get
around it. `tasks/*` does not allow `tasks/shell/…` or `tasks/file/…`: who means those writes them.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from typing import Final

from legion_core.kernel.errors import InvalidInput

ACTIONS: Final = ("read", "use", "write", "run", "cancel", "retry", "manage")
# Where a path may begin. A glob that begins elsewhere is a slip of the pen, and a deny that matches nothing denies nothing.
ROOTS: Final = frozenset(
    {
        "audit", "chains", "connect", "conversations", "curate", "events", "extensions", "fleet", "gateway", "hooks",
        "knowledge", "ledger", "mcp", "mind", "models", "network", "nodes", "providers", "rbac", "routes", "schedules",
        "secrets", "settings", "tasks", "tokens",
    }
)  # fmt: skip
PATH_CHARS_MAX: Final = 512
ANY, ONE = "*", "+"
NAMED: Final = frozenset({("tasks", "shell"), ("tasks", "file")})

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A glob and the actions it is about; `actions` None means all. `origin` says where it was written, for a person."""

    glob: Words
    actions: frozenset[str] | None
    origin: str = ""

    def covers(self, path: Words, action: str) -> bool:
        """Whether it allows `action` at `path`. What reaches out of the workbench has to be named, not swept in by a `*`."""
        if (self.actions is not None and action not in self.actions) or not matches(self.glob, path):
            return False
        return path[:2] not in NAMED or self.glob[:2] == path[:2]

    @property
    def text(self) -> str:
        """As it would be written: `tasks/http/*:run`."""
        return "/".join(self.glob) + ":" + (ANY if self.actions is None else ",".join(sorted(self.actions)))


class Rules:
    """Rules in the order they were written, found by the first two words of what they are about."""

    __slots__ = ("_by_head", "_loose")

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._by_head: dict[Words, list[tuple[int, Rule]]] = {}
        self._loose: list[tuple[int, Rule]] = []
        for place, rule in enumerate(rules):
            head = rule.glob[:2]
            is_loose = ANY in head or ONE in head
            (self._loose if is_loose else self._by_head.setdefault(head, [])).append((place, rule))

    def __bool__(self) -> bool:
        return bool(self._by_head or self._loose)

    def near(self, path: Words) -> Iterator[Rule]:
        """Every rule that can stand for `path`, and others, in order."""
        found = merge(self._by_head.get(path[:2], ()), self._loose)  # by place, and no two have the same
        return (rule for _, rule in found)

    def first(self, path: Words, action: str) -> Rule | None:
        """The first that allows `action` at `path`."""
        return next((rule for rule in self.near(path) if rule.covers(path, action)), None)


def words_of(path: str) -> Words | None:
    """The words of a path; None for one that no policy can speak of, which is refused to everybody but the owner."""
    if not 0 < len(path) <= PATH_CHARS_MAX or not path.isprintable():
        return None
    words = tuple(path.split("/"))
    return None if any(_is_odd(word) for word in words) else words


def folded(path: Words) -> Words:
    """The path with letters that look or sound alike made the same."""
    return tuple(unicodedata.normalize("NFKC", word).casefold() for word in path)


def matches(glob: Words, path: Words) -> bool:
    """Whether `glob` stands for `path`."""
    if glob[-1] == ANY:
        fixed = len(glob) - 1
        if len(path) <= fixed:
            return False
    else:
        fixed = len(glob)
        if len(path) != fixed:
            return False
    for place in range(fixed):
        word = glob[place]
        if word != path[place] and word != ONE:
            return False
    return True


def read_glob(text: str) -> Words:
    """The words of a glob; InvalidInput says what is wrong with it."""
    words = tuple(text.split("/"))
    if not 0 < len(text) <= PATH_CHARS_MAX or not text.isprintable():
        raise InvalidInput(
            f"{text[:80]!r} is no path.", hint="Write words with / between, such as tasks/http/*."
        )
    for place, word in enumerate(words):
        if word == ANY and place != len(words) - 1:
            raise InvalidInput(
                f"{text!r} has * before its end.",
                hint="* stands for all that follows; + stands for one word.",
            )
        if word not in (ANY, ONE) and _is_odd(word):
            raise InvalidInput(
                f"{text!r} has {word!r} in it, which is no word of a path.",
                hint="* as the last word is any rest, + is one word; there are no partial wildcards.",
            )
    if words[0] not in (ANY, ONE) and words[0] not in ROOTS:
        raise InvalidInput(
            f"{text!r} begins with {words[0]!r}, where nothing is.",
            hint=f"There are {', '.join(sorted(ROOTS))}.",
        )
    return words


def read_actions(actions: Iterable[str]) -> frozenset[str] | None:
    """The actions, None for all of them; InvalidInput names one that is unknown."""
    found = frozenset(actions)
    if not found:
        raise InvalidInput("No action is named.", hint=f"There are {', '.join(ACTIONS)}, and * for all.")
    if ANY in found:
        if len(found) > 1:
            raise InvalidInput("`*` stands for all actions, so it stands alone.")
        return None
    for action in sorted(found - set(ACTIONS)):
        raise InvalidInput(
            f"{action[:40]!r} is no action.", hint=f"There are {', '.join(ACTIONS)}, and * for all."
        )
    return found


def read_scope(text: str) -> Rule:
    """A scope `GLOB:ACTION,…` as a rule."""
    glob, colon, actions = text.strip().rpartition(":")
    if not colon:
        raise InvalidInput(
            f"{text[:80]!r} is no scope.",
            hint="Write GLOB:ACTION, such as tasks/http/*:run or gateway/*:use.",
        )
    return Rule(
        read_glob(glob), read_actions(each.strip() for each in actions.split(",")), f"scope {text.strip()}"
    )


def _is_odd(word: str) -> bool:
    return (
        word in ("", ".", "..", ANY, ONE)
        or "%" in word
        or "\\" in word
        or ANY in word
        or word != word.strip()
    )
