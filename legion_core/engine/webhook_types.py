"""Pure: inbound webhooks as they are kept: what a delivery starts, and how its sender proves who it is."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from legion_core.engine.types import Reason

Scheme = Literal["any", "standard", "github", "stripe", "slack"]
HookState = Literal["active", "paused"]
DeliveryStatus = Literal["started", "blocked"]

BODY_BYTES_MAX = 1 << 20
WINDOW_S = 300.0
WINDOW_MAX_S = 86_400.0


class HookSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """`POST /hooks/NAME` starts `target`: a task, EXTENSION.RUNNER.FUNCTION, or `chain:NAME`.

    `args` are rendered over the delivery (`body`, `headers`, `query`, `delivery`, `hook`) as the arguments of a chain's
    node are; without any, the body itself is what the target gets. `secret` is a reference, `keyring://NAME` or
    `env://NAME`. A signed date further than `window_s` from now is refused.
    """

    name: str
    target: str
    args: Mapping[str, Any] = msgspec.field(default_factory=dict[str, Any])
    scheme: Scheme = "any"
    secret: str = ""
    window_s: float = WINDOW_S


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery that was signed rightly, and what it started; the same one again starts nothing.

    `is_new` False: it had come before, and this is what it came to then.
    """

    hook: str
    delivery: str
    at: datetime
    status: DeliveryStatus
    task: str = ""
    run: str = ""
    reason: Reason | None = None
    bytes: int = 0
    is_new: bool = True
