"""`legion ledger …`: what was asked of whom, what it cost, and what may still be spent."""

import argparse
from datetime import date

from legion_core.kernel.errors import InvalidInput
from legion_core.surfaces.cli import words
from legion_core.surfaces.cli.outcome import Actions, Outcome, Setting

LIMIT_MAX = 500  # what one page of the node holds
_SCOPES = {"day": "Today", "client": "Client", "conversation": "Conversation"}


def summary(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`summary`."""
    rows = setting.backend.ledger_summary(args.by, _day(args.since))
    if not rows:
        return Outcome(rows, "Nothing was asked yet.")
    head = (args.by.capitalize(), "Attempts", "Tokens in", "Left out", "Tokens out", "Cost", "Saved", "")
    lines = [
        (
            row.key,
            words.count(row.attempts),
            words.count(row.input_tokens),
            words.count(row.saved_tokens),
            words.count(row.output_tokens),
            words.money(row.cost_usd),
            words.money(row.saved_usd) if row.saved_usd >= 0 else f"-{words.money(-row.saved_usd)}",
            f"{words.count(row.unpriced)} with an unknown price" if row.unpriced else "",
        )
        for row in rows
    ]
    return Outcome(rows, words.table(head, lines, right=(1, 2, 3, 4, 5, 6)))


def listing(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`list`: newest request first, its attempts in their order."""
    if not 1 <= args.limit <= LIMIT_MAX:
        raise InvalidInput(f"--limit must be from 1 to {LIMIT_MAX:,}.")
    rows = setting.backend.ledger_rows(args.request, args.conversation, args.limit)
    if not rows:
        is_narrowed = args.request or args.conversation
        return Outcome(rows, "No such attempt is in the ledger." if is_narrowed else "Nothing was asked yet.")
    head = ("At", "Request", "#", "Where", "Tokens in", "Out", "Took", "Cost", "Outcome")
    lines = [
        (
            row.at.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
            row.request,
            str(row.attempt),
            f"{row.tier}/{row.instance}/{words.model(row.model)}",
            words.count(row.usage.input_tokens + row.usage.cache_read_tokens + row.usage.cache_write_tokens),
            words.count(row.usage.output_tokens),
            words.span(row.duration_s),
            words.money(row.cost_usd),
            f"{row.outcome}: {row.why}" if row.why else row.outcome,
        )
        for row in rows
    ]
    return Outcome(rows, words.table(head, lines, right=(2, 4, 5, 6, 7)))


def budget(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`budget`."""
    rows = setting.backend.budgets()
    if not rows:
        return Outcome(
            rows, words.typed("No limit is set. Set one with `legion config set budget.day_usd 5`.")
        )
    head = ("Limit on", "", "Limit", "Spent", "Held")
    lines = [
        (_SCOPES[row.scope], row.key, *map(words.money, (row.limit_usd, row.spent_usd, row.held_usd)))
        for row in rows
    ]
    return Outcome(rows, words.table(head, lines, right=(2, 3, 4)))


def _day(word: str) -> str:
    if not word:
        return ""
    try:
        return date.fromisoformat(word).isoformat()
    except ValueError as error:
        raise InvalidInput(f"{word!r} is not a day.", hint="Write it as 2026-03-14.") from error


ACTIONS: Actions = {
    "summary": summary,
    "list": listing,
    "budget": budget,
}
