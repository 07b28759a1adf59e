"""The commands: all of them lead somewhere, none of them by accident."""

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from legion_core.surfaces.cli.examples import EXAMPLES
from legion_core.surfaces.cli.main import _command, _split_json
from legion_core.surfaces.cli.parser import Usage
from legion_core.surfaces.cli.tree import parser


def leaves(
    top: argparse.ArgumentParser, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    groups = [action for action in top._actions if isinstance(action, argparse._SubParsersAction)]
    if words and (not groups or not groups[0].required):
        yield words, top
    for group in groups:
        for name, inner in group.choices.items():
            yield from leaves(inner, (*words, name))


TOP = parser()
LEAVES = dict(leaves(TOP))
ROOT = Path(__file__).resolve().parents[4]


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_every_command_has_a_function_and_help(words: tuple[str, ...]) -> None:
    command, action = words[0], words[1] if len(words) > 1 else None

    assert callable(_command(command, action))
    assert LEAVES[words].format_help()


@pytest.mark.parametrize("command", list(dict.fromkeys(words[0] for words in LEAVES)))
def test_a_part_of_the_tree_is_the_tree_as_far_as_it_goes(command: str) -> None:
    whole = {words: leaf.format_help() for words, leaf in LEAVES.items() if words[0] == command}

    assert {
        words: leaf.format_help() for words, leaf in leaves(parser(command)) if words[0] == command
    } == whole


def test_a_command_that_wants_one_more_word_names_them() -> None:
    with pytest.raises(Usage, match="'legion route' wants one more word") as refused:
        parser("route").parse_args(["route"])
    assert refused.value.hint is not None
    assert "explain" in refused.value.hint


def test_the_commands_are_those_of_the_contract() -> None:
    assert {" ".join(words) for words in LEAVES} == {
        "desktop",
        "start",
        "stop",
        "status",
        "doctor",
        "chat",
        "chat prompt",
        "completion",
        "curate",
        "selftest",
        "task run",
        "task list",
        "task show",
        "task logs",
        "task cancel",
        "task retry",
        "extension list",
        "extension info",
        "extension create",
        "chain apply",
        "chain check",
        "chain list",
        "chain show",
        "chain run",
        "chain runs",
        "chain run-show",
        "chain run-cancel",
        "chain replay",
        "chain rename",
        "chain delete",
        "schedule add",
        "schedule list",
        "schedule show",
        "schedule runs",
        "schedule pause",
        "schedule resume",
        "schedule remove",
        "schedule run",
        "schedule preview",
        "hook add",
        "hook list",
        "hook show",
        "hook pause",
        "hook resume",
        "hook remove",
        "hook deliveries",
        "worker",
        "model list",
        "model pull",
        "model import",
        "model remove",
        "model fit",
        "provider list",
        "provider add",
        "provider remove",
        "provider test",
        "provider trip",
        "provider reset",
        "provider drain",
        "provider discover",
        "provider model list",
        "provider model set",
        "provider model reset",
        "provider model try",
        "route explain",
        "ledger summary",
        "ledger list",
        "ledger budget",
        "config get",
        "config set",
        "config check",
        "config path",
        "secret set",
        "secret list",
        "secret remove",
        "token show",
        "token list",
        "token create",
        "token revoke",
        "rbac check",
        "rbac policy show",
        "rbac policy apply",
        "rbac policy remove",
        "audit verify",
        "audit list",
        "audit export",
        "connect list",
        "connect preview",
        "connect apply",
        "connect undo",
        "connect key",
        "network list",
        "network offline",
        "network online",
        "network block",
        "network allow",
        "network forget",
        "conversation list",
        "conversation show",
        "conversation search",
        "conversation export",
        "conversation import",
        "conversation delete",
        "conversation log",
        "conversation restore",
        "conversation undo",
        "conversation verify",
        "conversation private",
        "mcp",
        "mcp tools",
        "mcp calls",
        "mcp allow",
        "mcp forbid",
        "mcp reset",
        "mcp grants",
        "mcp approvals",
        "mcp chat",
        "mcp yes",
        "mcp server add",
        "mcp server list",
        "mcp server login",
        "mcp server logout",
        "mcp server show",
        "mcp server look",
        "mcp server on",
        "mcp server off",
        "mcp server remove",
        "mcp server approve",
    }


def test_pins_may_stand_before_and_after_the_inner_command() -> None:
    before = parser().parse_args(["chat", "--tier", "local", "prompt", "x"])
    after = parser().parse_args(["chat", "prompt", "x", "--tier", "local"])

    assert before.tier == after.tier == "local"
    assert before.model is None
    assert after.model is None


def test_a_mistake_is_one_sentence_and_the_usage() -> None:
    with pytest.raises(Usage) as raised:
        parser().parse_args(["model", "fit"])

    assert "\n" not in raised.value.sentence()
    assert "NAME" in raised.value.sentence()


def test_an_argument_too_many_is_told_with_the_usage_of_its_own_command() -> None:
    with pytest.raises(Usage) as raised:
        parser().parse_args(["connect", "apply", "claude-code", "--yes"])

    assert raised.value.message == "Unrecognized arguments: --yes."
    assert raised.value.hint.startswith("Usage: legion connect apply ")


@pytest.mark.parametrize(
    ("words", "example"), [(words, each) for words, found in EXAMPLES.items() for each in found]
)
def test_every_example_in_a_help_is_a_command(words: str, example: str) -> None:
    told = re.sub(r" [<>] \S+$", "", example)

    assert example.startswith(words)
    assert TOP.parse_args(shlex.split(told)).command


def test_every_example_belongs_to_a_command() -> None:
    assert {words for words in EXAMPLES if words} <= {path for path, _ in TOP.words()}


def test_a_mistyped_command_is_told_with_the_nearest_one() -> None:
    with pytest.raises(Usage) as raised:
        parser().parse_args(["chian"])

    assert raised.value.sentence() == (
        "There is no 'legion chian'. Did you mean chain? `legion --help` lists them."
    )


def test_a_question_without_its_command_is_told_where_it_belongs() -> None:
    with pytest.raises(Usage) as raised:
        parser().parse_args(["chat", "Why is the sky blue?"])

    assert '`legion chat prompt "…"`' in raised.value.sentence()


def documented() -> Iterator[tuple[str, str]]:
    """Every command that the documents name, by document: in a line of its own, or between backticks."""
    for file in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = file.read_text(encoding="utf-8")
        for found in re.findall(r"`(?:\.venv/bin/)?(legion [^`]+)`", text):
            yield file.name, found
        for found in re.findall(r"^ {4}(?:\.venv/bin/)?(legion .+)$", text, re.MULTILINE):
            yield file.name, found


@pytest.mark.parametrize(("document", "command"), tuple(documented()))
def test_every_command_in_the_documents_is_one(document: str, command: str) -> None:
    # What is said of it stands behind a mark or a gap.
    told = re.sub(r"  .*$|\s+#.*$| [|<>].*$", "", re.sub(r"\s*\n\s*", " ", command))
    told = re.sub(r"(\w+)\|[\w|]+", r"\1", told)  # the first of what may stand there
    words = shlex.split(re.sub(r"[\[\]]| …", "", told).replace("--edge N", "--edge 0"))[1:]
    said = ""
    try:
        TOP.parse_args(_split_json(words)[1])
    except Usage as error:
        said = error.message
    assert not said or "are required" in said or "one more word" in said  # then it is named without its words


def test_a_choice_that_is_none_is_told_with_those_there_are() -> None:
    with pytest.raises(Usage) as raised:
        parser().parse_args(["chat", "--tier", "lokal", "prompt", "x"])

    assert "local, direct, fleet, cloud, frontier" in raised.value.sentence()


def test_json_behind_two_dashes_is_a_word_of_the_persons() -> None:
    assert _split_json(["chat", "--json", "prompt", "--", "--json"]) == (
        True,
        ["chat", "prompt", "--", "--json"],
    )
    assert _split_json(["chat", "prompt", "--", "--json"]) == (False, ["chat", "prompt", "--", "--json"])
