"""The rules of access once more, written to be read and not to be quick: what the product's answer is compared with."""

import random
import unicodedata

from legion_core.rbac.policy import OWNERS_ALONE, Assignment, Policy, Role
from legion_core.rbac.rules import Rule

ROOTS = ("tasks", "chains", "gateway", "secrets", "models")
WORDS = ("a", "b", "A", "shell", "x.y")
VERBS = ("read", "run", "manage")


def allows(policy: Policy, subject: str, scopes: tuple[Rule, ...], path: str, action: str) -> bool:
    if any(_alone(path, action, where, what) for where, what in OWNERS_ALONE):
        return False
    own = [each for each in policy.assignments if each.subject == subject]
    mine = own + [each for each in policy.assignments if each.subject == "*"]
    roles = [policy.roles[name] for each in mine for name in each.roles]
    for role in roles:
        for rule in role.deny:
            if _about(rule, action) and _stands(_same("/".join(rule.glob)), _same(path)):
                return False
    if scopes and not any(_allows(rule, path, action) for rule in scopes):
        return False
    if scopes and not own:
        return True
    return any(_allows(rule, path, action) for role in roles for rule in role.allow)


def _allows(rule: Rule, path: str, action: str) -> bool:
    glob = "/".join(rule.glob)
    for named in ("tasks/shell", "tasks/file"):
        if path == named or path.startswith(named + "/"):
            return _about(rule, action) and _stands(glob, path) and (glob + "/").startswith(named + "/")
    return _about(rule, action) and _stands(glob, path)


def _alone(path: str, action: str, where: str, what: str) -> bool:
    path = _same(path)
    return what == action and (path == where or path.startswith(where + "/"))


def _same(text: str) -> str:
    return "/".join(unicodedata.normalize("NFKC", word).casefold() for word in text.split("/"))


def _about(rule: Rule, action: str) -> bool:
    return rule.actions is None or action in rule.actions


def _stands(glob: str, path: str) -> bool:
    if not glob:
        return not path
    first, _, rest = glob.partition("/")
    word, _, left = path.partition("/")
    if first == "*" and not rest:
        return bool(path)
    if not path or first not in ("+", word):
        return False
    if not rest or not left:
        return not rest and not left
    return _stands(rest, left)


def some_policy(chance: random.Random) -> Policy:
    roles = {
        f"r{number}": Role(
            name=f"r{number}",
            allow=tuple(some_rule(chance) for _ in range(chance.randrange(4))),
            deny=tuple(some_rule(chance) for _ in range(chance.randrange(3)) if chance.random() < 0.5),
        )
        for number in range(chance.randrange(4))
    }
    given = tuple(
        Assignment(
            chance.choice(("ada", "bob", "*")),
            tuple(chance.sample(sorted(roles), chance.randrange(1, len(roles) + 1))),
        )
        for _ in range(chance.randrange(4))
        if roles
    )
    return Policy(roles=roles, assignments=given)


def some_rule(chance: random.Random) -> Rule:
    words = [chance.choice((*ROOTS, "+"))] + [
        chance.choice((*WORDS, "+")) for _ in range(chance.randrange(3))
    ]
    if chance.random() < 0.4:
        words.append("*")
    if chance.random() < 0.05:
        words = ["*"]
    actions = None if chance.random() < 0.2 else frozenset(chance.sample(VERBS, chance.randrange(1, 3)))
    return Rule(tuple(words), actions, "a rule")


def some_question(chance: random.Random) -> tuple[str, str]:
    words = [chance.choice(ROOTS)] + [chance.choice(WORDS) for _ in range(chance.randrange(4))]
    return "/".join(words), chance.choice(VERBS)
