"""Who changed what, for the audit log: one table over the whole facade, so that window, command line and HTTP are alike.

What is in the table is recorded before it is done, and where it then fails that is recorded too. Where the disk takes no
record, nothing is changed. A test holds every method of the facade against this table.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any, Final

from legion_core.api.audit import Audit
from legion_core.api.facade import Legion
from legion_core.kernel.errors import Denied, LegionError
from legion_core.kernel.ports import Principal

PATH_CHARS_MAX: Final = 128
IMPORTS_LOOKED_AT: Final = 500

# The methods of each subject that change something, and what that is called in the log.
KINDS: Final[Mapping[str, Mapping[str, str]]] = {
    "chains": {
        "apply": "chain.applied",
        "apply_value": "chain.applied",
        "rename": "chain.renamed",
        "delete": "chain.deleted",
    },
    "schedules": {
        "add": "schedule.added",
        "change": "schedule.changed",
        "remove": "schedule.removed",
        "pause": "schedule.paused",
        "resume": "schedule.resumed",
        "run_now": "schedule.ordered",
    },
    "hooks": {
        "add": "hook.added",
        "remove": "hook.removed",
        "pause": "hook.paused",
        "resume": "hook.resumed",
    },
    "models": {
        "pull": "model.ordered",
        "import_file": "model.imported",
        "remove": "model.removed",
        "discard_pull": "model.discarded",
    },
    "providers": {
        "trip": "provider.tripped",
        "drain": "provider.drained",
        "reset": "provider.reset",
    },
    "mcp": {"pause": "mcp.paused"},
    "llm": {"keep_private": "privacy.marked"},
}


async def imported(log: Audit, name: str, digest: str) -> None:
    """Record that the code of a drop-in extension is about to run, unless that very code did so last."""
    found = await log.page(kind="extension.imported", limit=IMPORTS_LOOKED_AT)
    last = next((row.detail for row in found if row.path == f"extensions/{name}"), "")
    if last != f"sha256:{digest}":
        await _noted(log, "extension.imported", f"extensions/{name}", "run", f"sha256:{digest}", "")


def record(legion: Legion, log: Audit) -> None:
    """Have every method of the table write into `log`, whoever calls it."""
    for subject, kinds in KINDS.items():
        door = getattr(legion, subject)
        for method, kind in kinds.items():
            run = getattr(door, method)
            made = _awaited if inspect.iscoroutinefunction(run) else _at_once
            setattr(door, method, made(run, kind, subject, log))


async def _noted(log: Audit, kind: str, path: str, action: str, detail: str, who: str) -> None:
    """Durably before it is done; soon after only where the log's key is locked, which must not stop a user's own work."""
    try:
        await log.note(kind, path, action, "done", detail, who)
    except Denied:
        log.note_nowait(kind, path, action, "done", detail, who)


def _awaited(
    run: Callable[..., Awaitable[Any]], kind: str, subject: str, log: Audit
) -> Callable[..., Awaitable[Any]]:
    @wraps(run)
    async def recorded(*args: Any, **named: Any) -> Any:
        path, who, detail = _told(subject, args, named)
        await _noted(log, kind, path, "write", detail, who)
        try:
            return await run(*args, **named)
        except LegionError as error:
            log.note_nowait(kind, path, "write", "failed", error.public_code, who)
            raise

    return recorded


def _at_once(run: Callable[..., Any], kind: str, subject: str, log: Audit) -> Callable[..., Any]:
    @wraps(run)
    def recorded(*args: Any, **named: Any) -> Any:
        path, who, detail = _told(subject, args, named)
        try:
            done = run(*args, **named)
        except LegionError as error:
            log.note_nowait(kind, path, "write", "failed", error.public_code, who)
            raise
        log.note_nowait(kind, path, "write", "done", detail, who)
        return done

    return recorded


def _told(subject: str, args: tuple[Any, ...], named: Mapping[str, Any]) -> tuple[str, str, str]:
    """The path, who asks where an argument says it, and a few words; never a value that may be secret or long."""
    given = (*args, *named.values())
    who = next((each.name for each in given if isinstance(each, Principal)), "")
    words = [_word(each) for each in given if not isinstance(each, Principal)]
    shown = [word for word in words if word]
    path = f"{subject}/{shown[0]}" if shown else subject
    return path[:PATH_CHARS_MAX], who, " ".join(shown[1:])[:PATH_CHARS_MAX]


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    text = value if isinstance(value, str) else getattr(value, "name", "")
    is_name = isinstance(text, str) and 0 < len(text) <= PATH_CHARS_MAX and text.isprintable()
    return _plain(text) if is_name else ""


def _plain(text: str) -> str:
    """An address without what may be a password or a key in it."""
    scheme, mark, rest = text.partition("://")
    if not mark:
        return text
    return f"{scheme}{mark}{rest.partition('?')[0].rpartition('@')[2]}"
