"""Which calls of a model need a yes, and which yes covers them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from legion_core.agent.tools.judge import UNSURE, judge
from legion_core.agent.tools.types import Offered, Yes

AT = datetime(2026, 6, 17, tzinfo=UTC)
NOBODY: frozenset[str] = frozenset()


def tool(risk: Any = "write", source: str = "server:notes", **more: Any) -> Offered:
    told: dict[str, Any] = {
        "name": "t", "source": source, "title": "t", "description": "", "parameters": {}, "risk": risk,
        "target": "mcp.notes.t", "print": "p1",
    }  # fmt: skip
    return Offered(**{**told, **more})


def yes(chat: str = "", mark: str = "p1", *beside: str) -> Yes:
    return Yes(
        tool="t", title="t", source="server:notes", print=mark, conversation_id=chat, beside=beside, at=AT
    )


def test_where_a_call_may_have_taken_effect_unseen_no_yes_of_before_covers_another() -> None:
    verdict = judge(tool(), (yes(), yes("c1")), NOBODY, is_private=False, is_unsure=True)
    assert (verdict.needs_yes, verdict.scopes, verdict.notes) == (True, ("once",), (UNSURE,))
    danger = judge(tool("danger", "extension:shell"), (), NOBODY, is_private=False, is_unsure=True)
    assert danger.notes == (UNSURE,)
    ours = tool("read", "extension:file")
    assert not judge(ours, (), NOBODY, is_private=False, is_unsure=True).needs_yes


def test_what_only_reads_of_our_own_is_free_and_a_strangers_word_for_it_is_not() -> None:
    assert not judge(tool("read", "extension:file"), (), NOBODY, is_private=False).needs_yes
    assert judge(tool("read"), (), NOBODY, is_private=False).needs_yes


@pytest.mark.parametrize(
    ("risk", "source", "scopes"),
    [
        ("write", "extension:file", ("once", "chat", "always")),
        ("write", "server:notes", ("once", "chat", "always")),
        ("danger", "server:notes", ("once", "chat")),
        ("danger", "extension:shell", ("once",)),
    ],
)
def test_the_higher_the_risk_the_shorter_a_yes(risk: str, source: str, scopes: tuple[str, ...]) -> None:
    verdict = judge(tool(risk, source), (), NOBODY, is_private=False)
    assert (verdict.needs_yes, verdict.scopes) == (True, scopes)


def test_a_yes_covers_the_tool_as_it_was_and_no_other() -> None:
    assert not judge(tool(), (yes(),), NOBODY, is_private=False).needs_yes
    verdict = judge(tool(print="p2"), (yes(),), NOBODY, is_private=False)
    assert verdict.needs_yes
    assert "not what it was" in verdict.notes[0]


def test_no_standing_yes_covers_what_is_dangerous_of_our_own() -> None:
    given = (yes("c1"), yes())
    assert judge(tool("danger", "extension:shell"), given, NOBODY, is_private=False).needs_yes


def test_a_yes_ends_where_other_strangers_speak_and_holds_beside_those_it_knew() -> None:
    heard = frozenset({"server:notes", "server:evil"})
    verdict = judge(tool(), (yes(),), heard, is_private=False)
    assert verdict.needs_yes
    assert "evil spoke" in verdict.notes[0]
    assert not judge(tool(), (yes("c1", "p1", "server:evil"),), heard, is_private=False).needs_yes
    assert not judge(tool(), (yes(),), frozenset({"server:notes"}), is_private=False).needs_yes


def test_a_private_chat_asks_before_anything_leaves_until_it_was_allowed_in_it() -> None:
    away = tool("read", "extension:http", is_remote=True)
    verdict = judge(away, (), NOBODY, is_private=True)
    assert (verdict.needs_yes, verdict.scopes) == (True, ("once", "chat"))
    assert "kept on this computer" in verdict.notes[0]
    assert judge(away, (yes(),), NOBODY, is_private=True).needs_yes
    assert not judge(away, (yes("c1"),), NOBODY, is_private=True).needs_yes
    assert not judge(away, (), NOBODY, is_private=False).needs_yes
