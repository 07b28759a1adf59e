"""What the workbench brings, by `extension.runner`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from legion_core.engine.builtin.files import Files
from legion_core.engine.builtin.http import HttpRequests
from legion_core.engine.builtin.occasions import (
    InboundHooks,
    Inputs,
    OutboundHooks,
    ScheduleEntries,
    Topics,
)
from legion_core.engine.builtin.shell import Commands
from legion_core.engine.builtin.small import DesktopNotes, LogMessages, Notify, Questions
from legion_core.kernel.clock import Clock
from legion_core.kernel.ports import Asker
from legion_core.kernel.settings_schema import Engine

if TYPE_CHECKING:
    from legion_core.engine.messages import Messages
    from legion_core.engine.schedule_service import Scheduler
    from legion_core.engine.webhook_service import Secret, Webhooks


@dataclass(frozen=True, slots=True)
class Occasions:
    """What makes tasks begin; each is brought in when it is first asked for."""

    scheduler: "Callable[[], Scheduler]"
    hooks: "Callable[[], Webhooks]"
    messages: "Callable[[], Messages]"
    secret: "Secret"


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
    occasions: Occasions | None = None,
) -> Builtins:
    """All of them. `config` gives the branch in force at each call."""
    http = HttpRequests(clock, lambda: config().http.allow)
    runners: dict[str, object] = {
        "http.request": http,
        "log.message": LogMessages(),
        "shell.command": Commands(lambda: config().shell.allow),
        "notify.desktop": DesktopNotes(notify),
        "llm.chat": Questions(asker),
        "file.text": Files(home, lambda: config().files.allow),
    }
    if occasions is not None:
        runners |= {
            "schedule.entry": ScheduleEntries(occasions.scheduler),
            "webhook.inbound": InboundHooks(occasions.hooks),
            "webhook.outbound": OutboundHooks(clock, http, occasions.secret),
            "message.topic": Topics(occasions.messages),
            "absorb.input": Inputs(occasions.messages),
        }
    return Builtins(runners=runners, http=http)
