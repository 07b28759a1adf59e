"""The filter of the activity list as text: `kind:task status:failed since:1h took:>5s words`, and what it asks for. Pure."""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from legion_core.api.activity_types import STATES, ActivityKind, ActivityQuery
from legion_core.api.task_types import STATUSES

FIELDS = ("kind", "status", "since", "until", "took", "cost", "chat", "run", "started-by")
KINDS: dict[str, ActivityKind] = {
    "task": "task",
    "tasks": "task",
    "request": "request",
    "requests": "request",
}
STATUS_WORDS = {"ok": "succeeded", "done": "succeeded", "error": "failed", "errors": "failed"}
UNITS = {"m": "minutes", "min": "minutes", "h": "hours", "d": "days", "w": "weeks", "s": "seconds"}
TOOK = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Token:
    """One part of the filter: a field of `FIELDS` and its value."""

    field: str
    value: str

    @property
    def text(self) -> str:
        """As it is typed."""
        return f"{self.field}:{self.value}"


@dataclass(frozen=True, slots=True)
class Filter:
    """Tokens and free words; every token narrows, several values of one field widen each other."""

    tokens: tuple[Token, ...] = ()
    words: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether it asks for nothing."""
        return not self.tokens and not self.words.strip()

    @property
    def text(self) -> str:
        """All of it as it is typed."""
        return " ".join([*(token.text for token in self.tokens), self.words.strip()]).strip()

    def values(self, name: str) -> tuple[str, ...]:
        """The values of one field."""
        return tuple(part for token in self.tokens if token.field == name for part in token.value.split(","))

    def with_field(self, name: str, *values: str) -> "Filter":
        """The same with this field set anew; no values take it away."""
        kept = tuple(token for token in self.tokens if token.field != name)
        return replace(self, tokens=(*kept, Token(name, ",".join(values))) if values else kept)


def parse(text: str, before: tuple[Token, ...] = ()) -> Filter:
    """A filter from what was typed, after the tokens there are; what is no token of sense stays a word."""
    tokens: list[Token] = list(before)
    words: list[str] = []
    for part in text.split():
        name, colon, value = part.partition(":")
        token = Token(name.lower(), value)
        if colon and value and makes_sense(token):
            tokens = [held for held in tokens if held.field != token.field]
            tokens.append(token)
        else:
            words.append(part)
    return Filter(tokens=tuple(tokens), words=" ".join(words))


def makes_sense(token: Token) -> bool:
    """Whether the token can narrow anything."""
    match token.field:
        case "kind":
            return all(part in KINDS for part in token.value.split(","))
        case "status":
            return all(_status(part) in (*STATES, *STATUSES) for part in token.value.split(","))
        case "since" | "until":
            return _moment(token.value, datetime.now().astimezone()) is not None  # only its form counts
        case "took":
            return _took(token.value) is not None
        case "cost":
            return _number(token.value.lstrip(">=$")) is not None
        case "chat" | "run" | "started-by":
            return True
        case _:
            return False


def query_of(wanted: Filter, now: datetime) -> ActivityQuery:
    """What the store is asked; `now` is local time with its zone."""
    asked: dict[str, object] = {"words": tuple(wanted.words.split())}
    for token in wanted.tokens:
        match token.field:
            case "kind":
                asked["kinds"] = tuple(dict.fromkeys(KINDS[part] for part in token.value.split(",")))
            case "status":
                asked["states"] = tuple(dict.fromkeys(_status(part) for part in token.value.split(",")))
            case "since" | "until":
                asked[token.field] = _moment(token.value, now)
            case "took":
                asked["took_min_s"] = _took(token.value) or 0.0
            case "cost":
                asked["cost_min_usd"] = _number(token.value.lstrip(">=$")) or 0.0
            case "chat":
                asked["conversation"] = token.value
            case "run":
                asked["run"] = token.value
            case _:
                asked["root"] = token.value
    return ActivityQuery(**asked)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class View:
    """A filter worth a name."""

    key: str
    title: str
    text: str
    icon: str = field(default="bookmark")


VIEWS = (
    View("all", "Everything", "", "list"),
    View("failed", "Failed in the last day", "status:failed since:24h", "circle-x"),
    View("running", "Under way now", "status:running,waiting", "loader"),
    View("slow", "Slower than 5 seconds", "took:>5s since:7d", "gauge"),
    View("paid", "Cost money this week", "kind:request cost:>0.0001 since:7d", "wallet"),
    View("unrun", "Did not run", "status:skipped,blocked,expired,cancelled", "circle-minus"),
)


def _status(word: str) -> str:
    return STATUS_WORDS.get(word.lower(), word.lower())


def _moment(value: str, now: datetime) -> datetime | None:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    match value.lower():
        case "today":
            return midnight
        case "yesterday":
            return midnight - timedelta(days=1)
        case "week":
            return midnight - timedelta(days=7)
        case _:
            pass
    if found := re.fullmatch(r"(\d{1,5})(m|min|h|d|w|s)", value.lower()):
        return now - timedelta(**{UNITS[found[2]]: int(found[1])})
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)


def _took(value: str) -> float | None:
    found = re.fullmatch(r">?=?([\d.]+)(ms|s|min|m|h|)", value.lower())
    number = _number(found[1]) if found else None
    return number * TOOK[found[2]] if found and number is not None else None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < 1e12 else None
