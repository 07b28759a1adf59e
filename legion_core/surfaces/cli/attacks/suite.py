"""The public attacks of docs/security.md against a node of one's own: what was tried, and how it was refused."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from legion_core.surfaces.cli.attacks import browser, content, keys
from legion_core.surfaces.cli.attacks.stage import Attack, Stage, Through, staged

if TYPE_CHECKING:
    from legion_core.surfaces.cli.local import OpenNode

ATTACKS: tuple[Attack, ...] = (*browser.ATTACKS, *keys.ATTACKS, *content.ATTACKS)
ATTACK_S = 300.0

# What cannot be tried from here, and where it is.
ELSEWHERE: tuple[tuple[str, str], ...] = (
    ("S20", "sixty real pickles: the project's tests; here one, renamed"),
    ("S23", "there is nothing that updates itself"),
    ("S24", "what a build is made of: hashes of the lock file, checked when it is installed"),
    ("S25-27", "pictures, links and terminals: tests of the window"),
)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One attack. `how` says how it was refused, how it came through, or why it could not be tried."""

    number: str
    name: str
    outcome: Literal["refused", "through", "not tried"]
    how: str


async def attacked(open_node: "OpenNode", attacks: Sequence[Attack] = ATTACKS) -> tuple[Row, ...]:
    """Try them all, one after the other, on a node in a directory that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="legion-attacks-") as directory:
        async with staged(open_node, Path(directory) / "home") as stage:
            return tuple([await _tried(attack, stage) for attack in attacks])


async def _tried(attack: Attack, stage: Stage) -> Row:
    try:
        async with asyncio.timeout(ATTACK_S):
            how = await attack.act(stage)
    except Through as error:
        return Row(number=attack.number, name=attack.name, outcome="through", how=str(error))
    except Exception as error:  # noqa: BLE001  # an attack that broke shows nothing, and the next one is tried
        words = f"{type(error).__name__}: {error}"[:300]
        return Row(number=attack.number, name=attack.name, outcome="not tried", how=words)
    return Row(number=attack.number, name=attack.name, outcome="refused", how=how)
