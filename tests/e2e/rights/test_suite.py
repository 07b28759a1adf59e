"""`legion selftest --attacks`: every attack is refused, and the suite sees it where one is not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from legion_core.kernel.ports import OWNER
from legion_core.node import open_node
from legion_core.surfaces.cli.attacks import browser, content, keys
from legion_core.surfaces.cli.attacks.stage import Attack
from legion_core.surfaces.cli.attacks.suite import ATTACKS, Row, attacked
from tests.e2e.cli.command import legion
from tests.support.aio import run

pytestmark = [pytest.mark.slow, pytest.mark.allow_log("")]
ACTS = {attack.act: attack for attack in ATTACKS}


def tried(*acts: Callable[..., Any]) -> list[Row]:
    found = run(attacked(open_node, [ACTS[act] for act in acts]), 400)
    return list(found)


def test_every_attack_is_tried_and_refused_by_the_command(tmp_path: Path) -> None:
    told = legion(tmp_path / "home", "selftest", "--attacks", "--json")
    assert [row for row in told.data["attacks"] if row["outcome"] != "refused"] == []
    assert told.data["counts"] == {"refused": len(ATTACKS), "through": 0, "not tried": 0}
    assert not (tmp_path / "home" / "journal.db").exists()  # nothing of the person's own was touched


SABOTAGE: tuple[tuple[str, Any, tuple[Callable[..., Any], ...]], ...] = (
    ("legion_core.surfaces.rest.gate.OwnAddress.is_host", lambda *_: True, (browser.rebinding,)),
    (
        "legion_core.surfaces.rest.gate.OwnAddress.is_origin",
        lambda *_: True,
        (browser.origins, browser.every_route),
    ),
    (
        "legion_core.rbac.authorizer.PolicyAuthorizer.authorise",
        lambda *_: None,
        (keys.who_it_is, keys.others_chats),
    ),
    ("legion_core.api.ops.Ops.principal", lambda *_: OWNER, (keys.hostile_keys, keys.revoked)),
    ("legion_core.surfaces.rest.guard.Guard.drop", lambda *_: 0, (keys.revoked,)),
    ("legion_core.agent.mcp.prints.without_unseen", lambda text: text, (content.poisoned,)),
)


@pytest.mark.parametrize(
    ("place", "instead", "acts"), SABOTAGE, ids=[each[0].rpartition(".")[2] for each in SABOTAGE]
)
def test_an_attack_that_comes_through_is_seen(
    monkeypatch: pytest.MonkeyPatch, place: str, instead: Any, acts: tuple[Callable[..., Any], ...]
) -> None:
    monkeypatch.setattr(place, instead)
    assert [row.outcome for row in tried(*acts)] == ["through"] * len(acts)


def test_an_attack_that_breaks_is_not_counted_as_refused() -> None:
    async def broken(_: object) -> str:
        raise ValueError("cannot be tried")

    (row,) = run(attacked(open_node, [Attack("S0", "broken", broken)]), 400)
    assert (row.outcome, row.how) == ("not tried", "ValueError: cannot be tried")
