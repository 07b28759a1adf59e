"""Pure: a policy from its text, whole or not at all, and what it says to one question.

    version = 1
    [roles.fetcher]
    allow = [{ path = "tasks/http/*", actions = ["run"] }, { path = "tasks", actions = ["read"] }]
    deny  = [{ path = "tasks/http/request/post", actions = ["*"] }]
    [[assign]]
    subject = "editor"            # the name of a token; "*" is every token
    roles = ["fetcher"]
    until = 2027-01-01T00:00:00Z  # may be left out

Anything unknown is a fault, and one fault refuses all of it. A deny beats every allow, whatever its place and however
special the allow. What nothing allows is denied.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, cast

from legion_core.kernel.errors import ConfigError, InvalidInput
from legion_core.kernel.toml_lines import lines_of
from legion_core.rbac.rules import ANY, Rule, Rules, folded, matches, read_actions, read_glob, words_of

SIZE_BYTES_MAX: Final = 256 * 1024
RULES_MAX: Final = 10_000
EVERYBODY: Final = "*"
# Those change the rules themselves: whoever had one of them could give themselves all the others.
OWNERS_ALONE: Final = frozenset(
    {
        ("rbac", "manage"), ("tokens", "manage"), ("secrets", "manage"), ("settings", "manage"),
        ("providers", "manage"), ("extensions", "write"), ("mcp/servers", "manage"), ("connect", "manage"),
        ("network", "manage"),
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Role:
    """What those who have it may do, and what they may not do whatever else they have."""

    name: str
    allow: tuple[Rule, ...] = ()
    deny: tuple[Rule, ...] = ()
    description: str = ""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who has which roles, and until when."""

    subject: str
    roles: tuple[str, ...]
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """All of one policy, sound."""

    roles: Mapping[str, Role] = field(default_factory=dict[str, Role])
    assignments: tuple[Assignment, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Yes or no, and the rule that decided, where one did; `why` is a sentence."""

    is_allowed: bool
    why: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Rights:
    """What one subject has of a policy now. `until`: from then on it is to be made anew; None for never."""

    subject: str
    allow: Rules
    deny: Rules  # with their letters made the same
    scopes: Rules
    is_assigned: bool = False
    until: datetime | None = None
    lapsed: datetime | None = None


def parse(text: str) -> Policy:
    """The policy a text holds. Raises ConfigError with every fault, each with its line."""
    if len(text.encode("utf-8", "surrogatepass")) > SIZE_BYTES_MAX:
        raise _faulty([f"the policy is larger than {SIZE_BYTES_MAX // 1024} KiB"])
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _faulty([_unreadable(text, str(error))]) from error
    return _Reader(lines_of(text)).policy(document)


def rights_of(policy: Policy, subject: str, scopes: Sequence[Rule], at: datetime) -> Rights:
    """What `subject` (a token's) has at that moment; its own scopes are the most it can have."""
    allow: list[Rule] = []
    deny: list[Rule] = []
    is_assigned, until, lapsed = False, None, None
    for each in policy.assignments:
        if each.subject not in (subject, EVERYBODY):
            continue
        if each.until is not None and each.until <= at:
            lapsed = each.until if each.subject == subject else lapsed
            is_assigned = is_assigned or each.subject == subject
            continue
        if each.until is not None:
            until = each.until if until is None else min(until, each.until)
        is_assigned = is_assigned or each.subject == subject
        for name in each.roles:
            role = policy.roles.get(name) or BUILTIN[name]
            allow += role.allow
            deny += (replace(rule, glob=folded(rule.glob)) for rule in role.deny)
    return Rights(subject, Rules(allow), Rules(deny), Rules(scopes), is_assigned, until, lapsed)


def decide(rights: Rights, path: str, action: str, narrowed: Sequence[Rule] = ()) -> Verdict:
    """The answer to one question. In order: the owner's alone, deny, the scopes, allow; else no."""
    words = words_of(path)
    if words is None:
        return Verdict(is_allowed=False, why="This is no path that a policy can speak of.")
    plain = folded(words)
    verb = action.casefold()
    if (plain[0], verb) in OWNERS_ALONE or ("/".join(plain[:2]), verb) in OWNERS_ALONE:
        return Verdict(is_allowed=False, why="That is the owner's alone: it changes who may do what.")
    for rule in rights.deny.near(plain):
        if (rule.actions is None or action in rule.actions) and matches(rule.glob, plain):
            return Verdict(is_allowed=False, why=f"{rule.origin} denies it.", rule=rule.origin)
    if narrowed and not any(rule.covers(words, action) for rule in narrowed):
        return Verdict(is_allowed=False, why="It is outside what was passed on to this caller.")
    scope = rights.scopes.first(words, action)
    if rights.scopes and scope is None:
        return Verdict(is_allowed=False, why=f"It is outside the scopes of {rights.subject}.")
    if scope is not None and not rights.is_assigned:
        return Verdict(is_allowed=True, why=f"{scope.origin} allows it.", rule=scope.origin)
    found = rights.allow.first(words, action)
    if found is not None:
        return Verdict(is_allowed=True, why=f"{found.origin} allows it.", rule=found.origin)
    if rights.lapsed is not None and not rights.allow:
        return Verdict(
            is_allowed=False,
            why=f"The roles of {rights.subject} ended on {rights.lapsed:%Y-%m-%d %H:%M} UTC.",
        )
    if not rights.is_assigned and not rights.scopes and not rights.allow:
        return Verdict(is_allowed=False, why=f"{rights.subject} has neither scopes nor a role.")
    return Verdict(is_allowed=False, why="No rule allows it.")


class _Reader:
    """Goes through the document and gathers every fault."""

    def __init__(self, lines: Mapping[str, int]) -> None:
        self._lines = lines
        self._faults: list[tuple[int, str]] = []
        self._rules = 0

    def policy(self, document: Mapping[str, Any]) -> Policy:
        self._known(document, ("version", "roles", "assign"), "")
        if document.get("version") != 1 or isinstance(document.get("version"), bool):
            self._fault("version", "`version` must be 1")
        roles = {
            name: self._role(name, value)
            for name, value in self._table(document.get("roles", {}), "roles").items()
        }
        listed = self._list(document.get("assign", []), "assign")
        assignments = tuple(
            self._assignment(value, f"assign[{place}]", roles) for place, value in enumerate(listed)
        )
        if self._rules > RULES_MAX:
            self._fault("", f"there are {self._rules:,} rules; at most {RULES_MAX:,} are taken")
        if self._faults:
            raise _faulty([f"line {line}: {what}" if line else what for line, what in sorted(self._faults)])
        return Policy(roles=roles, assignments=assignments)

    def _role(self, name: str, value: object) -> Role:
        place = f"roles.{name}"
        table = self._table(value, place)
        if not name.strip() or not name.isprintable() or len(name) > 64:
            self._fault(place, "a role's name has 1 to 64 printable characters")
        if name in BUILTIN:
            self._fault(place, f"the role {name!r} is built in; choose another name")
        self._known(table, ("description", "allow", "deny"), place)
        description = table.get("description", "")
        if not isinstance(description, str):
            self._fault(f"{place}.description", "`description` must be text")
        return Role(
            name=name,
            allow=self._rule_list(table.get("allow", []), f"{place}.allow", f"role {name}", "allow"),
            deny=self._rule_list(table.get("deny", []), f"{place}.deny", f"role {name}", "deny"),
            description=str(description),
        )

    def _rule_list(self, value: object, place: str, whose: str, word: str) -> tuple[Rule, ...]:
        found = [
            self._rule(each, f"{place}[{number}]", whose, word)
            for number, each in enumerate(self._list(value, place))
        ]
        return tuple(rule for rule in found if rule is not None)

    def _rule(self, value: object, place: str, whose: str, word: str) -> Rule | None:
        self._rules += 1
        table = self._table(value, place)
        self._known(table, ("path", "actions"), place)
        path, actions = table.get("path"), table.get("actions")
        if not isinstance(path, str):
            self._fault(place, "a rule needs `path`")
            return None
        listed = self._list(actions, f"{place}.actions") if actions is not None else []
        if not all(isinstance(each, str) for each in listed):
            self._fault(place, "`actions` must be a list of words")
            return None
        try:
            glob, named = read_glob(path), read_actions(cast("list[str]", listed))
        except InvalidInput as error:
            self._fault(place, error.sentence())
            return None
        line = self._line(place)
        return Rule(glob, named, f"{whose}, {word} {path}" + (f" (line {line})" if line else ""))

    def _assignment(self, value: object, place: str, roles: Mapping[str, Role]) -> Assignment:
        table = self._table(value, place)
        self._known(table, ("subject", "roles", "until"), place)
        subject = table.get("subject")
        if not isinstance(subject, str) or not subject.strip() or not subject.isprintable():
            self._fault(place, "an assignment needs `subject`, the name of a token or *")
            subject = ""
        if subject in ("owner", "nobody"):
            self._fault(
                place, f"{subject!r} cannot be given roles: the owner may do everything, nobody nothing"
            )
        named = self._list(table.get("roles", []), f"{place}.roles")
        if not named:
            self._fault(place, "an assignment needs `roles`")
        for each in named:
            if not isinstance(each, str) or (each not in roles and each not in BUILTIN):
                known = ", ".join(sorted({*roles, *BUILTIN}))
                self._fault(f"{place}.roles", f"there is no role {str(each)[:64]!r}; there are {known}")
        until = table.get("until")
        if until is not None and not isinstance(until, datetime):
            self._fault(f"{place}.until", "`until` must be a date and time, such as 2027-01-01T00:00:00Z")
            until = None
        if until is not None and until.tzinfo is None:
            self._fault(f"{place}.until", "`until` needs its zone, such as Z at its end")
            until = until.replace(tzinfo=UTC)
        return Assignment(subject, tuple(str(each) for each in named), until)

    def _known(self, table: Mapping[str, Any], names: tuple[str, ...], place: str) -> None:
        for name in table:
            if name not in names:
                where = f"{place}.{name}" if place else name
                self._fault(where, f"`{name}` means nothing here; there are {', '.join(names)}")

    def _table(self, value: object, place: str) -> Mapping[str, Any]:
        if isinstance(value, dict):
            return cast("Mapping[str, Any]", value)
        self._fault(place, f"`{place}` must be a table")
        return {}

    def _list(self, value: object, place: str) -> list[object]:
        if isinstance(value, list):
            return cast("list[object]", value)
        self._fault(place, f"`{place.rpartition('.')[2]}` must be a list")
        return []

    def _fault(self, place: str, what: str) -> None:
        self._faults.append((self._line(place), what))

    def _line(self, place: str) -> int:
        """The line of the nearest thing around `place` that has one."""
        while place:
            if place in self._lines:
                return self._lines[place]
            cut = max(place.rfind("."), place.rfind("["))
            place = place[:cut] if cut > 0 else ""
        return 0


def _unreadable(text: str, why: str) -> str:
    """The parser's words with the line in front."""
    what, _, place = why.partition(" (at ")
    found = re.match(r"line (\d+)", place)
    line = int(found.group(1)) if found else text.count("\n") + 1
    return f"line {line}: {what or 'it is nested too deeply'}"


def _faulty(faults: list[str]) -> ConfigError:
    return ConfigError(
        f"The policy has {len(faults)} fault{'s' if len(faults) > 1 else ''}, so none of it is taken: {faults[0]}.",
        hint="The policy before it stays in force.",
        faults=tuple(faults),
    )


def _role(name: str, description: str, *allow: str, deny: tuple[str, ...] = ()) -> Role:
    def rules(texts: tuple[str, ...], word: str) -> tuple[Rule, ...]:
        made: list[Rule] = []
        for text in texts:
            glob, _, actions = text.rpartition(":")
            made.append(
                Rule(read_glob(glob), read_actions(actions.split(",")), f"role {name}, {word} {text}")
            )
        return tuple(made)

    return Role(name, rules(allow, "allow"), rules(deny, "deny"), description)


# seed: worker, supervisor, admin and governance-observer; flat, none contains another.
BUILTIN: Final[Mapping[str, Role]] = {
    role.name: role
    for role in (
        _role(
            "chat", "Asks models, over any client's protocol.",
            "gateway/*:use", "models:read", "routes:read",
        ),
        _role(
            "worker", "Runs tasks and chains, and sees what became of them; never a shell.",
            "tasks/*:run", "chains/*:run", "tasks:read,write,cancel", "chains:read,write,run", "chains/*:read,cancel",
            "schedules:read", "events:read", "extensions:read", "nodes:read", "gateway/*:use",
            deny=("tasks/shell/*:*", "chains/+:write"),
        ),
        _role(
            "supervisor", "As worker, and keeps chains, schedules and webhooks.",
            "tasks/*:*", "tasks/shell/*:*", "tasks/file/*:*", "tasks:*", "chains/*:*", "chains:*", "schedules:*", "hooks:*", "events:read",
            "extensions:read", "nodes:read", "models:read", "providers:read", "routes:read", "ledger:read",
            "gateway/*:use",
        ),
        _role(
            "admin", "Everything but what changes the rules themselves.",
            "*:*", "tasks/shell/*:*", "tasks/file/*:*",
        ),
        _role(
            "governance-observer", "Sees what is done; does nothing.",
            "audit:read", "rbac:read", "tokens:read", "ledger:read", "tasks:read", "chains:read", "schedules:read",
            "hooks:read", "events:read", "nodes:read", "routes:read", "providers:read", "models:read", "network:read",
            "extensions:read", "settings:read",
        ),
        _role(
            "connected-app", "An editor or agent: models, and the tools of the MCP server.",
            "gateway/*:use", "models:read", "routes:read", "mcp:use,read", "mcp/*:use,read", "tasks/*:run", "tasks:read,cancel",
            "chains/*:run,read", "chains:read", "knowledge:read,use", "knowledge/*:read,use",
            deny=("tasks/shell/*:*", "tasks/file/*:*", "tasks/schedule/*:*", "tasks/webhook/*:*"),
        ),
    )
}  # fmt: skip
assert ANY == EVERYBODY
