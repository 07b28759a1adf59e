"""`legion rbac …`, `legion audit …` and `legion token …`."""

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from legion_core.kernel.errors import InvalidInput
from legion_core.surfaces.cli import words
from legion_core.surfaces.cli.outcome import Actions, Outcome, Setting

if TYPE_CHECKING:
    from datetime import datetime

    from legion_core.api.audit import AuditCheck
    from legion_core.api.tokens import TokenRow

SIZE_BYTES_MAX = 1 << 20
SCOPES_SHOWN = 3
FILE_BYTES_MAX = 24 << 20  # what fits into one request
_SPAN = re.compile(r"^(\d+(?:\.\d+)?)(s|m|h|d|w)?$")
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def check(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`rbac check`: the decision and the rule that made it."""
    found = setting.backend.rights.check(args.subject, args.path, args.verb)
    verdict = "may" if found.is_allowed else "may not"
    return Outcome(found, f"{found.subject} {verdict} {found.action} {found.path}: {found.why}")


def policy(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`rbac policy …`."""
    match args.policy_action:
        case "apply":
            return _apply(setting, args)
        case "remove":
            setting.backend.rights.remove_policy()
            return Outcome({"removed": True}, "There is no policy now: tokens may do what their scopes say.")
        case _:
            return _show(setting)


def _apply(setting: Setting, args: argparse.Namespace) -> Outcome:
    text = _text(args.file)
    if args.dry_run:
        rows = setting.backend.rights.preview(text)
        changed = [row for row in rows if row.is_allowed_now is not row.is_allowed_then]
        lines = [
            (
                row.subject,
                row.path,
                row.action,
                _yes(is_allowed=row.is_allowed_now),
                _yes(is_allowed=row.is_allowed_then),
            )
            for row in changed
        ]
        told = (
            words.table(("Subject", "Path", "Action", "Now", "Then"), lines)
            if lines
            else "Nothing would change."
        )
        return Outcome(rows, told)
    row = setting.backend.rights.apply(text)
    own = [role.name for role in row.roles if not role.is_builtin]
    return Outcome(
        row, f"The policy is in force: {', '.join(own) or 'no roles of its own'}. It lies in {row.path}."
    )


def _show(setting: Setting) -> Outcome:
    row = setting.backend.rights.policy()
    if row.faults:
        setting.aside(f"legion: {row.path} is not in force: {'; '.join(row.faults)}")
    if not row.is_in_force:
        return Outcome(row, "There is no policy: tokens may do what their scopes say, and nothing else.")
    return Outcome(row, row.text.rstrip())


def show_token(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`token show`: made on first use."""
    from legion_core.kernel.clock import SystemClock
    from legion_core.kernel.ids import system_rng

    home = setting.home
    home.create()
    token = home.token(setting.env, system_rng(), SystemClock())
    place = "" if setting.env.get("LEGION_TOKEN") else str(home.token_path)
    return Outcome({"token": token, "path": place}, token)


def list_tokens(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`token list`."""
    rows = setting.backend.rights.tokens()
    lines = [
        (
            row.name,
            f"…{row.tail}",
            row.state,
            _scopes_words(row.scopes),
            row.client,
            _used(row),
            _day(row.expires_at),
        )
        for row in rows
        if args.all or row.state == "active"
    ]
    head = ("Name", "Ends in", "State", "Scopes", "Client", "Last used", "Expires")
    return Outcome(rows, words.table(head, lines) if lines else "No tokens but the owner's.")


def _scopes_words(scopes: tuple[str, ...]) -> str:
    """Presets by their names, and what is beside them; `--json` has every scope."""
    from legion_core.rbac.tokens import PRESETS

    said, rest = list[str](), set(scopes)
    for name, preset in sorted(PRESETS.items(), key=lambda each: -len(each[1])):
        if set(preset) <= set(scopes) and rest & set(preset):
            said.append(name)
            rest -= set(preset)
    said += [scope for scope in scopes if scope in rest]
    more = f" and {len(said) - SCOPES_SHOWN} more" if len(said) > SCOPES_SHOWN else ""
    return (" ".join(said[:SCOPES_SHOWN]) + more) or "by its roles"


def create_token(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`token create`: its secret is printed once."""
    made = setting.backend.rights.create_token(args.name, args.scope, args.client, _seconds(args.expires))
    if not made.row.scopes:
        setting.aside(
            "It has no scopes: until a policy gives it a role it may do nothing. --scope chat would let it ask models."
        )
    setting.aside("Shown this once:")
    return Outcome(made, made.secret)


def revoke_token(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`token revoke`."""
    row = setting.backend.rights.revoke_token(args.name)
    return Outcome(row, f"{row.name} is revoked; what it held open is closed.")


def verify(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`audit verify`: exit 1 where the log is not whole."""
    rights = setting.backend.rights
    found = rights.verify_lines(_text(args.file, FILE_BYTES_MAX)) if args.file else rights.verify()
    return Outcome(found, _told(found), status=0 if found.is_whole else 1)


def listing(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`audit list`."""
    rows = setting.backend.rights.entries(
        limit=args.limit, kind=args.kind, who=args.who, outcome=args.outcome
    )
    lines = [
        (
            str(row.seq),
            f"{row.at.astimezone():%Y-%m-%d %H:%M:%S}",
            row.who,
            row.kind,
            row.outcome,
            row.path,
            row.detail,
        )
        for row in rows
    ]
    head = ("", "When", "Who", "What", "", "Where", "")
    return Outcome(rows, words.table(head, lines, right=(0,)) if rows else "Nothing is recorded.")


def export(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`audit export`: lines of JSON, to a file or standard output."""
    content = setting.backend.rights.export(args.after)
    count = content.count(b"\n")
    if args.out:
        from legion_core.kernel.files import write_atomically
        from legion_core.storage.failures import from_os

        path = Path(args.out).absolute()
        try:
            write_atomically(path, content)
        except OSError as error:
            raise from_os(error, path) from error
        return Outcome({"path": str(path), "count": count}, f"{words.count(count)} entries are in {path}.")
    import msgspec

    lines = [msgspec.json.decode(line) for line in content.splitlines()]
    return Outcome(lines, content.decode().rstrip("\n"))


def _told(found: "AuditCheck") -> str:
    if found.is_whole:
        where = f" The key lies in {found.key}." if found.key else ""
        return f"Whole: {words.count(found.count)} entries.{where}"
    return f"NOT WHOLE. The first bad entry is {found.first_bad}: {found.why}."


def _text(name: str, bytes_max: int = SIZE_BYTES_MAX) -> str:
    if name == "-":
        return sys.stdin.read(bytes_max + 1)
    try:
        with Path(name).open("rb") as stream:
            return stream.read(bytes_max + 1).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{name} cannot be read: {error}.") from error


def _seconds(text: str) -> float | None:
    if not text:
        return None
    found = _SPAN.match(text)
    if found is None:
        raise InvalidInput(f"{text!r} is no span of time.", hint="Write 90d, 12h, 30m or 3600.")
    return float(found.group(1)) * _SECONDS[found.group(2) or ""]


def _used(row: "TokenRow") -> str:
    return words.ago(row.last_used_at, words.now()) if row.last_used_at else "never"


def _day(at: "datetime | None") -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M}" if at else "never"


def _yes(*, is_allowed: bool) -> str:
    return "allowed" if is_allowed else "denied"


RBAC: Actions = {"check": check, "policy": policy}
AUDIT: Actions = {"verify": verify, "list": listing, "export": export}
TOKEN: Actions = {
    "show": show_token,
    "list": list_tokens,
    "create": create_token,
    "revoke": revoke_token,
}
