"""Policies: whole or refused, deny above allow, nothing by default, and never another answer than the oracle's."""

import os
import random
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from legion_core.kernel.errors import ConfigError, InvalidInput
from legion_core.rbac.policy import BUILTIN, OWNERS_ALONE, Policy, decide, parse, rights_of
from legion_core.rbac.rules import Rule, Rules, matches, read_glob, read_scope, words_of
from tests.unit.rbac import oracle

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PAIRS = 100_000 if os.environ.get("LEGION_TEST_PROFILE") == "full" else 2_000

GOOD = """
version = 1
[roles.fetcher]
description = "Fetches."
allow = [{ path = "tasks/http/*", actions = ["run"] }, { path = "tasks", actions = ["read"] }]
deny = [{ path = "tasks/http/request/post", actions = ["*"] }]
[[assign]]
subject = "editor"
roles = ["fetcher"]
until = 2027-01-01T00:00:00Z
"""


def asked(
    policy: Policy, path: str, action: str, subject: str = "editor", scopes: tuple[str, ...] = ()
) -> bool:
    rules = tuple(read_scope(scope) for scope in scopes)
    return decide(rights_of(policy, subject, rules, NOW), path, action).is_allowed


@pytest.mark.requirement("rbac.flat-policies")
def test_what_a_role_allows_is_allowed_and_all_else_is_not() -> None:
    policy = parse(GOOD)

    assert asked(policy, "tasks/http/request/get", "run")
    assert asked(policy, "tasks", "read")
    assert not asked(policy, "tasks", "write")
    assert not asked(policy, "tasks/shell/command/run", "run")
    assert not asked(policy, "nowhere/at/all", "run")
    assert not asked(policy, "tasks/http/request/get", "run", subject="somebody")


@pytest.mark.parametrize(
    "path",
    [
        "tasks/http/request/post",
        "Tasks/HTTP/request/POST",
        "tasks/http/request/\N{FULLWIDTH LATIN SMALL LETTER P}ost",
    ],
)
def test_a_deny_beats_an_allow_however_the_path_is_spelled(path: str) -> None:
    assert not asked(parse(GOOD), path, "run")


def test_a_deny_says_which_rule_it_was_and_where_it_stands() -> None:
    found = decide(rights_of(parse(GOOD), "editor", (), NOW), "tasks/http/request/post", "run")

    assert found.rule == "role fetcher, deny tasks/http/request/post (line 6)"


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "tasks/", "/tasks", "tasks//http", "tasks/./http", "tasks/../secrets", "tasks/%2e%2e/secrets",
        "tasks\\http", "tasks/http\n", "tasks/ht\x00tp", "tasks/*", "tasks/+", "tasks/ http", "a" * 600,
    ],
)  # fmt: skip
def test_a_path_that_could_mean_two_things_is_refused_even_where_everything_is_allowed(path: str) -> None:
    assert words_of(path) is None
    assert not asked(Policy(), path, "run", scopes=("*:*",))


@pytest.mark.parametrize(
    ("glob", "path", "is_match"),
    [
        ("tasks/*", "tasks/a", True), ("tasks/*", "tasks/a/b/c", True), ("tasks/*", "tasks", False),
        ("tasks/+", "tasks/a", True), ("tasks/+", "tasks/a/b", False), ("tasks/+/run", "tasks/a/run", True),
        ("tasks/+/*", "tasks/a", False), ("*", "tasks", True), ("+", "tasks", True), ("+", "tasks/a", False),
        ("tasks/a", "tasks/a", True), ("tasks/a", "tasks/ab", False), ("tasks/a", "tasks/A", False),
    ],
)  # fmt: skip
def test_a_star_is_any_rest_and_a_plus_one_word(glob: str, path: str, is_match: bool) -> None:
    words = words_of(path)

    assert words is not None
    assert matches(read_glob(glob), words) is is_match


@pytest.mark.parametrize(
    "glob", ["tasks/*/x", "ta*", "tasks/a*", "taks/x", "tasks//x", "tasks/..", "", "tasks/%2e", "a/b"]
)
def test_a_glob_that_means_nothing_is_refused(glob: str) -> None:
    with pytest.raises(InvalidInput):
        read_glob(glob)


FAULTY = {
    "version = 2": "line 1",
    "": "`version` must be 1",
    "version = 1\ncolour = 1": "line 2: `colour` means nothing here",
    "version = 1\n[roles.a]\nalow = []": "line 3: `alow` means nothing here",
    "version = 1\n[roles.a]\nallow = [{ path = 'tasks', actions = ['rn'] }]": "line 3: 'rn' is no action",
    "version = 1\n[roles.a]\nallow = [{ path = 'taks', actions = ['run'] }]": "line 3: 'taks' begins with",
    "version = 1\n[roles.a]\nallow = [{ path = 'tasks/*/x', actions = ['run'] }]": "line 3: 'tasks/*/x' has * before",
    "version = 1\n[roles.a]\nallow = [{ path = 'tasks' }]": "line 3: No action is named",
    "version = 1\n[roles.a]\nallow = [{ actions = ['run'] }]": "line 3: a rule needs `path`",
    "version = 1\n[roles.a]\nallow = 'all'": "line 3: `allow` must be a list",
    "version = 1\n[roles.a]\ndeny = [7]": "line 3",
    "version = 1\n[roles.worker]\nallow = []": "line 2: the role 'worker' is built in",
    "version = 1\nroles = 7": "line 2: `roles` must be a table",
    "version = 1\n[[assign]]\nroles = ['worker']": "line 2: an assignment needs `subject`",
    "version = 1\n[[assign]]\nsubject = 'x'": "line 2: an assignment needs `roles`",
    "version = 1\n[[assign]]\nsubject = 'x'\nroles = ['wroker']": "line 4: there is no role 'wroker'",
    "version = 1\n[[assign]]\nsubject = 'owner'\nroles = ['worker']": "line 2: 'owner' cannot be given roles",
    "version = 1\n[[assign]]\nsubject = 'x'\nroles = ['worker']\nuntil = 'soon'": "line 5: `until` must be",
    "version = 1\n[[assign]]\nsubject = 'x'\nroles = ['worker']\nuntil = 2027-01-01T00:00:00": "line 5: `until` needs its zone",
    "version = 1\n[roles": "line 2: Expected ']'",
    "version = 1\nx x": "line 2: Expected",
    "version = true": "line 1: `version` must be 1",
}


@pytest.mark.parametrize("text", FAULTY, ids=range(len(FAULTY)))
def test_one_fault_refuses_all_of_it_and_says_its_line(text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(text)

    assert any(FAULTY[text] in fault for fault in raised.value.faults), raised.value.faults


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as raised:
        parse("version = 3\nx = 1\n[roles.a]\nb = 2\n[[assign]]\nsubject = 'y'\nroles = ['none']\n")

    assert len(raised.value.faults) == 4


def test_a_huge_or_deep_policy_is_refused_and_does_no_harm() -> None:
    for text in ("#" * 300_000, "version = " + "[" * 100_000, 'version = 1\n[roles."' + "x" * 100 + '"]\n'):
        with pytest.raises(ConfigError):
            parse(text)


@pytest.mark.parametrize(("path", "action"), sorted(OWNERS_ALONE))
def test_what_changes_the_rules_is_the_owners_alone_whatever_a_policy_says(path: str, action: str) -> None:
    policy = parse('version = 1\n[[assign]]\nsubject = "editor"\nroles = ["admin"]\n')

    assert not asked(policy, path, action, scopes=("*:*",))
    assert not asked(policy, f"{path}/anything", action)
    assert not asked(policy, path.upper(), action)


def test_roles_end_at_their_time() -> None:
    policy = parse(GOOD)
    later = datetime(2027, 1, 1, tzinfo=UTC)

    assert decide(rights_of(policy, "editor", (), later - timedelta(seconds=1)), "tasks", "read").is_allowed
    found = decide(rights_of(policy, "editor", (), later), "tasks", "read")
    assert not found.is_allowed
    assert "ended on 2027-01-01" in found.why


def test_roles_that_ended_do_not_give_way_to_wider_scopes() -> None:
    later = datetime(2027, 1, 1, tzinfo=UTC)
    rights = rights_of(parse(GOOD), "editor", (read_scope("tasks/*:run"),), later)

    assert not decide(rights, "tasks/http/request/get", "run").is_allowed


def test_scopes_are_the_most_a_token_can_have() -> None:
    policy = parse(GOOD)

    assert asked(policy, "tasks", "read", scopes=("tasks:read",))
    assert not asked(policy, "tasks/http/request/get", "run", scopes=("tasks:read",))
    assert not asked(policy, "gateway/chat", "use", scopes=("gateway/*:use",)), "its roles do not give that"
    assert asked(policy, "gateway/chat", "use", subject="other", scopes=("gateway/*:use",)), (
        "a grant of its own"
    )


def test_what_is_passed_on_is_never_more_than_what_there_is() -> None:
    rights = rights_of(parse(GOOD), "editor", (), NOW)
    narrowed = (read_scope("tasks:read"), read_scope("gateway/*:use"))

    assert decide(rights, "tasks", "read", narrowed).is_allowed
    assert not decide(rights, "tasks/http/request/get", "run", narrowed).is_allowed
    assert not decide(rights, "gateway/chat", "use", narrowed).is_allowed


def test_the_built_in_roles_are_sound() -> None:
    assert {"worker", "supervisor", "admin", "governance-observer"} <= set(BUILTIN)
    for name in BUILTIN:
        policy = parse(f'version = 1\n[[assign]]\nsubject = "editor"\nroles = ["{name}"]\n')
        assert asked(policy, "tasks/shell/command/run", "run") is (name in ("supervisor", "admin"))


def test_random_policies_agree_with_the_oracle() -> None:
    for seed in range(PAIRS):
        chance = random.Random(seed)
        policy = oracle.some_policy(chance)
        scopes = tuple(oracle.some_rule(chance) for _ in range(chance.randrange(3)) if chance.random() < 0.5)
        rights = rights_of(policy, "ada", scopes, NOW)
        for _ in range(5):
            path, action = oracle.some_question(chance)
            expected = oracle.allows(policy, "ada", scopes, path, action)
            assert decide(rights, path, action).is_allowed is expected, (seed, path, action)


def test_one_more_rule_widens_nothing_but_what_it_allows_itself() -> None:
    for seed in range(PAIRS // 10):
        chance = random.Random(seed)
        policy = oracle.some_policy(chance)
        if not policy.roles:
            continue
        name = chance.choice(sorted(policy.roles))
        rule, is_deny = oracle.some_rule(chance), chance.random() < 0.5
        role = policy.roles[name]
        more = replace(role, deny=(*role.deny, rule)) if is_deny else replace(role, allow=(*role.allow, rule))
        wider = replace(policy, roles={**policy.roles, name: more})
        for _ in range(10):
            path, action = oracle.some_question(chance)
            before, after = asked(policy, path, action, "ada"), asked(wider, path, action, "ada")
            words = words_of(path)
            assert words is not None
            assert before or not after or (not is_deny and rule.covers(words, action)), (seed, path, action)


@pytest.mark.requirement("rbac.standalone")
def test_access_control_is_usable_by_itself() -> None:
    """Policies, tokens and the audit chain load neither the gateway nor the engine, nor a server or a window."""
    program = (
        "import sys, legion_core.rbac.service\n"
        "print([name for name in sys.modules if name.startswith(('legion_core.gateway', 'legion_core.engine',"
        " 'legion_core.surfaces', 'legion_core.api', 'starlette', 'httpx', 'PySide6', 'cryptography'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == "[]"


def test_the_rule_that_is_named_is_the_first_that_was_written_however_it_is_found() -> None:
    globs = ("chains/*", "tasks/http/get", "tasks/*", "tasks/http/*", "+/http/get", "*")
    for order in permutations(globs):
        rules = Rules(Rule(read_glob(glob), None, glob) for glob in order)
        found = rules.first(("tasks", "http", "get"), "run")
        assert found is not None
        assert found.origin == next(glob for glob in order if glob != "chains/*")
        assert rules.first(("chains", "x"), "run") is not None
    assert not Rules()
    assert Rules().first(("tasks",), "run") is None
