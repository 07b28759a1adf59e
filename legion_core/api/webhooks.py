"""Webhooks: addresses at which others' signed deliveries start something here."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from legion_core.api.webhook_types import Delivery, DeliveryPage, HookAdded, HookRow, HookSpec
from legion_core.kernel.errors import InvalidInput
from legion_core.kernel.ports import LOCAL_OWNER, Principal

if TYPE_CHECKING:
    from legion_core.engine.webhook_service import Webhooks
    from legion_core.engine.webhook_store import Hook

PREFIX = "/hooks/"


class Hooks:
    """Add, look, pause, remove, receive. `make` brings in the service, once somebody asks for it."""

    def __init__(self, make: "Callable[[], Webhooks]") -> None:
        self._make = make
        self._made: Webhooks | None = None

    async def list(self) -> tuple[HookRow, ...]:
        """All of them, by name."""
        return tuple(_row(hook, last) for hook, last in await self.service().all())

    async def get(self, name: str) -> HookRow:
        """One of them; NotFound."""
        return _row(*await self.service().get(name))

    async def add(self, spec: HookSpec, who: Principal = LOCAL_OWNER) -> HookAdded:
        """Keep a new one; a secret is made, kept and shown once, unless `spec.secret` names one there is.

        Raises Conflict (the name), InvalidDocument, NotFound (target, secret), Denied where no secret can be kept.
        """
        hook, secret = await self.service().add(who, spec)
        row = msgspec.structs.asdict(_row(hook, None))
        return HookAdded(**row, signing_secret=secret)

    async def pause(self, name: str, who: Principal = LOCAL_OWNER) -> HookRow:
        """Refuse its deliveries until it is resumed; senders try again."""
        await self.service().set_state(who, name, "paused")
        return await self.get(name)

    async def resume(self, name: str, who: Principal = LOCAL_OWNER) -> HookRow:
        """Take deliveries again."""
        await self.service().set_state(who, name, "active")
        return await self.get(name)

    async def remove(self, name: str, who: Principal = LOCAL_OWNER) -> None:
        """Forget it, its deliveries and the secret that was made for it."""
        await self.service().remove(who, name)

    async def deliveries(self, name: str, *, limit: int = 50, cursor: str = "") -> DeliveryPage:
        """What came, latest first; `cursor` is the `next` of the page before."""
        digits = cursor.removeprefix("d")
        if cursor and not (cursor[0] == "d" and digits.isascii() and digits.isdecimal() and len(digits) < 18):
            raise InvalidInput("`cursor` is not one we gave.")
        found = await self.service().page(name, int(digits or 0), limit + 1)
        more = len(found) > limit
        found = found[:limit]
        return DeliveryPage(
            deliveries=tuple(each for _, each in found), next=f"d{found[-1][0]}" if more else ""
        )

    async def receive(
        self, name: str, headers: Mapping[str, str], query: Mapping[str, str], body: bytes
    ) -> Delivery:
        """Take a delivery; on disk when this returns. See `engine.webhook_service.Webhooks.receive`."""
        return await self.service().receive(name, headers, query, body)

    def service(self) -> "Webhooks":
        """The service itself, for what else in the node keeps webhooks."""
        if self._made is None:
            self._made = self._make()
        return self._made


def _row(hook: "Hook", last: Delivery | None) -> HookRow:
    from legion_core.engine.schedule_plan import moment_at

    spec = hook.spec
    args: Mapping[str, Any] = spec.args
    return HookRow(
        name=spec.name, path=f"{PREFIX}{spec.name}", target=spec.target, args=args, scheme=spec.scheme,
        secret=spec.secret, window_s=spec.window_s, state=hook.state, last=last,
        created_at=moment_at(hook.created_ms), changed_at=moment_at(hook.changed_ms),
    )  # fmt: skip
