"""`legion selftest --attacks`: the public attacks of docs/security.md, tried on a workbench of its own that is gone afterwards."""

import argparse
import asyncio
import logging
from typing import TYPE_CHECKING

from legion_core.kernel.errors import InvalidInput
from legion_core.surfaces.cli import words
from legion_core.surfaces.cli.outcome import Actions, Outcome, Setting

if TYPE_CHECKING:
    from legion_core.surfaces.cli.attacks.suite import Row


def selftest(setting: Setting, args: argparse.Namespace) -> Outcome:
    """The table; status 1 where one attack came through or could not be tried."""
    if not args.attacks:
        raise InvalidInput("There is nothing to test.", hint="`legion selftest --attacks` tries the attacks.")
    from legion_core.surfaces.cli.attacks.suite import ELSEWHERE, attacked

    logging.getLogger("mcp").addHandler(logging.NullHandler())  # the SDK's words about what it refused
    setting.aside("Trying them on a workbench of its own; this takes some seconds.")
    rows = asyncio.run(attacked(setting.open_node))
    counts = {
        outcome: sum(row.outcome == outcome for row in rows)
        for outcome in ("refused", "through", "not tried")
    }
    data = {"attacks": rows, "counts": counts, "elsewhere": dict(ELSEWHERE)}
    status = 0 if counts["refused"] == len(rows) else 1
    return Outcome(data, _text(rows, ELSEWHERE, counts), status)


def _text(rows: "tuple[Row, ...]", elsewhere: tuple[tuple[str, str], ...], counts: dict[str, int]) -> str:
    lines = [(row.number, row.outcome, row.name, row.how) for row in rows]
    lines += [(number, "elsewhere", "", how) for number, how in elsewhere]
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    return f"\n{words.table(('No', 'Outcome', 'Attack', 'How'), lines)}\n\n{len(rows)} attacks: {told}."


ACTIONS: Actions = {None: selftest}
