"""What goes in and out of the engine's door: an order, its acceptance, a line of a task's log. Cheap to import."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from legion_core.engine.types import Retry, TaskStatus


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants run. `retry` and `timeout_s` None: as the function says. `expires_s` 0: never.

    `is_once`: whoever wants it waits for it and decides what comes next, so that nothing of which nothing is promised is
    begun again when its process was killed.
    """

    task: str
    args: Mapping[str, Any] = msgspec.field(default_factory=dict[str, Any])
    delay_s: float = 0.0
    priority: int = 0
    idempotency_key: str = ""
    expires_s: float = 0.0
    retry: Retry | None = None
    timeout_s: float | None = None
    is_once: bool = False
    parent: str = ""
    root: str = ""
    run: str = ""
    node: str = ""
    key: str = ""
    depth: int = 0


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """A task that is on disk. `is_new` False: the same idempotency key belongs to it already."""

    id: str
    status: TaskStatus
    is_new: bool = True


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a task's own log."""

    task: str
    number: int
    at: datetime
    level: str
    text: str
