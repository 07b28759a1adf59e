"""`legion hook …`."""

import argparse

from legion_core.api.webhook_types import HookRow, HookSpec
from legion_core.surfaces.cli import words
from legion_core.surfaces.cli.commands.tasks import pairs_of
from legion_core.surfaces.cli.outcome import Actions, Outcome, Setting


def add(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`add`: a secret is made and shown once, unless `--secret` names one there is."""
    spec = HookSpec(
        name=args.name,
        target=args.target,
        args=pairs_of(args.words),
        scheme=args.scheme,
        secret=args.secret,
        window_s=args.window,
    )
    added = setting.backend.hooks.add(spec)
    text = f"POST {added.path} starts {added.target}."
    if added.signing_secret:
        text += f"\nIts secret, shown this once: {added.signing_secret}"
    return Outcome(added, text)


def listing(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`list`: by name."""
    rows = setting.backend.hooks.list()
    lines = [(row.path, row.target, row.scheme, row.state, _last(row)) for row in rows]
    text = words.table(("Address", "Starts", "Signed", "State", "Last"), lines) if rows else "No webhooks."
    return Outcome(rows, text)


def show(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`show`."""
    row = setting.backend.hooks.get(args.name)
    lines = [
        ("Webhook", row.name),
        ("Address", row.path),
        ("Starts", row.target),
        ("With", ", ".join(f"{name}: {value}" for name, value in row.args.items()) or "the body"),
        ("Signed", row.scheme),
        ("Secret", row.secret),
        ("Window", words.span(row.window_s)),
        ("State", row.state),
        ("Last", _last(row)),
    ]
    return Outcome(row, words.pairs(lines))


def pause(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`pause`."""
    row = setting.backend.hooks.pause(args.name)
    return Outcome(row, f"{row.name} is {row.state}.")


def resume(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`resume`."""
    row = setting.backend.hooks.resume(args.name)
    return Outcome(row, f"{row.name} is {row.state}.")


def remove(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`remove`."""
    setting.backend.hooks.remove(args.name)
    return Outcome({"removed": args.name}, f"{args.name} is removed.")


def deliveries(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`deliveries`: what came, latest first."""
    rows = setting.backend.hooks.deliveries(args.name, args.limit)
    lines = [
        (
            row.at.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
            row.status,
            row.delivery,
            row.task or row.run or (row.reason.sentence if row.reason else ""),
        )
        for row in rows
    ]
    return Outcome(rows, words.table(("Came", "", "Delivery", "Started"), lines) if rows else "Nothing came.")


def _last(row: HookRow) -> str:
    return f"{row.last.status} {row.last.at.astimezone():%Y-%m-%d %H:%M:%S}" if row.last else ""


ACTIONS: Actions = {
    "add": add,
    "list": listing,
    "show": show,
    "pause": pause,
    "resume": resume,
    "remove": remove,
    "deliveries": deliveries,
}
