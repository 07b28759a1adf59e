"""`legion network …`: which hosts were contacted, and which may be."""

import argparse
from typing import TYPE_CHECKING

from legion_core.surfaces.cli import words
from legion_core.surfaces.cli.outcome import Actions, Outcome, Setting

if TYPE_CHECKING:
    from legion_core.api.network import NetworkState

_HEAD = ("Host", "For", "By", "Contacts", "Refused", "Sent", "Received", "Last")


def listing(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`network list`."""
    door = setting.backend.network
    state = door.state()
    if args.blocked:
        return Outcome(state.blocked, "\n".join(state.blocked) or "No host is blocked.")
    rows, now = door.hosts(), words.now()
    lines = [
        (
            f"{row.host}:{row.port}",
            row.purpose,
            row.by,
            words.count(row.count),
            words.count(row.refused) if row.refused else "",
            words.size(row.sent_bytes),
            words.size(row.received_bytes),
            words.ago(row.last_at, now),
        )
        for row in rows
    ]
    told = words.table(_HEAD, lines, right=(3, 4, 5, 6)) if rows else "No host was contacted."
    setting.aside(_told(state))
    return Outcome(rows, told)


def offline(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`network offline`."""
    return _shown(setting.backend.network.set_offline(True))


def online(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`network online`."""
    return _shown(setting.backend.network.set_offline(False))


def block(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`network block`."""
    return _shown(setting.backend.network.block(args.host))


def allow(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`network allow`."""
    return _shown(setting.backend.network.allow(args.host))


def forget(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`network forget`."""
    setting.backend.network.forget()
    return Outcome({"forgotten": True}, "The record of hosts contacted is empty.")


def _shown(state: "NetworkState") -> Outcome:
    return Outcome(state, _told(state))


def _told(state: "NetworkState") -> str:
    first = "Offline: only this computer is contacted." if state.is_offline else "Online."
    return f"{first} Blocked: {', '.join(state.blocked)}." if state.blocked else first


ACTIONS: Actions = {
    "list": listing,
    "offline": offline,
    "online": online,
    "block": block,
    "allow": allow,
    "forget": forget,
}
