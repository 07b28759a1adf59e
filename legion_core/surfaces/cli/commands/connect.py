"""`legion connect …`. The files are those of whoever types the command; only the token is the node's affair."""

import argparse
import os
from collections.abc import Callable

from legion_core.api.connect import SCOPES, Desk
from legion_core.api.connect_types import Change, FileChange, Form, Part
from legion_core.kernel.clock import SystemClock
from legion_core.surfaces.cli.outcome import Actions, Outcome, Setting
from legion_core.surfaces.cli.words import table, typed

_STATES = {
    "connected": "connected",
    "found": "found, not connected",
    "changed": "changed outside",
    "removed": "taken out by another program",
    "broken": "its file cannot be read",
    "missing": "not installed",
}


def listing(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`connect list`."""
    rows = _desk(setting).rows()
    told = table(
        ("PROGRAM", "STATE", "FILE"),
        [(row.name, _STATES[row.state], _short(" ".join(row.paths))) for row in rows],
    )
    problems = [f"{row.title}: {row.problem}" for row in rows if row.problem]
    return Outcome(rows, "\n".join((told, *problems)))


def preview(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`connect preview`: what `apply` would change, line by line."""
    desk = _desk(setting)
    change = desk.preview(args.client, _parts(args), _form(args))
    if not any(each.added or each.removed for each in change.files):
        return Outcome(change, f"{change.title} is connected already: nothing would change.")
    return Outcome(change, _diff(change))


def apply(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`connect apply`."""
    desk = _desk(setting)
    parts, form = _parts(args), _form(args)
    title = desk.preview(args.client, parts, form, is_applied=True).title
    if not desk.has_key(args.client):
        keys = setting.backend.keys
        if args.client in keys.live():  # its secret is lost, so it opens nothing for anybody
            keys.revoke(args.client)
        desk.keep_key(args.client, keys.create(args.client, SCOPES, title).secret)
    planned = desk.preview(args.client, parts, form, is_applied=True)
    # Recorded before it is done, as everywhere.
    setting.backend.rights.connected(
        args.client, is_applied=True, paths=[each.path for each in planned.files]
    )
    change = desk.apply(args.client, parts, form)
    files = [f"{each.shown}: +{each.added} -{each.removed}" for each in change.files]
    undo = typed(f"`legion connect undo {args.client}` takes it back.")
    return Outcome(change, "\n".join((f"{title} is connected.", *files, *change.notes, undo)))


def undo(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`connect undo`."""
    desk = _desk(setting)
    undone = desk.undo(args.client)
    paths = [f"{each.path} {each.ending}" for each in undone.files]
    setting.backend.rights.connected(args.client, is_applied=False, paths=paths)
    if desk.has_key(args.client):
        desk.drop_key(args.client)
        keys = setting.backend.keys
        if args.client in keys.live():
            keys.revoke(args.client)
    return Outcome(undone, undone.words)


def key(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`connect key`: for a program's own settings, and for programs that run a command to get it."""
    if args.home:
        setting.env = {**setting.env, "LEGION_HOME": args.home}
    secret = _desk(setting).key(args.client)
    return Outcome({"client": args.client, "key": secret}, secret)


def _desk(setting: Setting) -> Desk:
    env = dict(setting.env)
    env.setdefault("PATH", os.defpath)
    return Desk(setting.home.root, env, SystemClock(), _base(setting))


def _base(setting: Setting) -> Callable[[], str]:
    """Where the node serves, or would: asked only once something is to be written."""

    def base() -> str:
        from legion_core.surfaces.cli.connect import address

        record = setting.home.read_node()
        if record is not None and (url := address(record)):
            return url
        from legion_core.kernel.config import load

        port = load(setting.home.config_path, setting.env).config.server.port
        return f"http://127.0.0.1:{port}"

    return base


def _parts(args: argparse.Namespace) -> tuple[Part, ...]:
    """Empty: what is usual for this program."""
    match args.models:
        case True:
            return ("mcp", "models")
        case False:
            return ("mcp",)
        case _:
            return ()


def _form(args: argparse.Namespace) -> Form:
    return "http" if args.http else "stdio"


def _diff(change: Change) -> str:
    return "\n".join((*(line for each in change.files for line in _file(each)), *change.notes))


def _file(change: FileChange) -> list[str]:
    new = ", a new file" if change.is_new else ""
    head = f"{change.shown}{new}  +{change.added} -{change.removed}"
    return [head, *(f"{line.number:>5} {line.sign} {line.text}" for line in change.lines), ""]


def _short(path: str) -> str:
    home = os.path.expanduser("~")
    return path.replace(home + os.sep, "~" + os.sep) if home != os.sep else path


ACTIONS: Actions = {
    "list": listing,
    "preview": preview,
    "apply": apply,
    "undo": undo,
    "key": key,
}
