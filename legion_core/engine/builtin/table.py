"""What the workbench brings, by `extension.runner`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from legion_core.engine.builtin.files import Files
from legion_core.engine.builtin.http import HttpRequests
from legion_core.engine.builtin.shell import Commands
from legion_core.engine.builtin.small import DesktopNotes, LogMessages, Notify, Questions
from legion_core.kernel.clock import Clock
from legion_core.kernel.ports import LOCAL_OWNER, Asker
from legion_core.kernel.settings_schema import Engine


@dataclass(frozen=True, slots=True)
class Builtins:
    """The runners, and what of them must be closed."""

    runners: Mapping[str, object]
    http: HttpRequests


def make_builtins(
    clock: Clock,
    home: Path,
    config: Callable[[], Engine],
    asker: Callable[[], Asker],
    notify: Notify,
) -> Builtins:
    """All of them. `config` gives the branch in force at each call."""
    http = HttpRequests(clock, lambda: config().http.allow)
    return Builtins(
        runners={
            "http.request": http,
            "log.message": LogMessages(),
            "shell.command": Commands(lambda: config().shell.allow),
            "notify.desktop": DesktopNotes(notify),
            "llm.chat": Questions(asker, LOCAL_OWNER),
            "file.text": Files(home, lambda: config().files.allow),
        },
        http=http,
    )
