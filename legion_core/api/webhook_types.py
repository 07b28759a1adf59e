"""What a surface or the window sees of webhooks: frozen values, cheap to import."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from legion_core.engine.webhook_types import (
    BODY_BYTES_MAX,
    Delivery,
    DeliveryStatus,
    HookSpec,
    HookState,
    Scheme,
)

__all__ = [
    "BODY_BYTES_MAX",
    "Delivery",
    "DeliveryPage",
    "DeliveryStatus",
    "HookAdded",
    "HookRow",
    "HookSpec",
    "HookState",
    "Scheme",
]


class HookRow(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook at a glance: where it is posted to (`path`), what it starts, and its latest delivery.

    `secret` is the reference under which the secret is kept, never the secret.
    """

    name: str
    path: str
    target: str
    args: Mapping[str, Any]
    scheme: Scheme
    secret: str
    window_s: float
    state: HookState
    last: Delivery | None = None
    created_at: datetime | None = None
    changed_at: datetime | None = None


class HookAdded(HookRow, frozen=True, kw_only=True):
    """A new webhook; `signing_secret` is shown this once, and empty where a reference was given."""

    signing_secret: str = ""


class DeliveryPage(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries to one webhook, latest first; `next` continues below the last one, empty at the end."""

    deliveries: tuple[Delivery, ...]
    next: str = ""
