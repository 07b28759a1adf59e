"""What the command line asks of a node about webhooks: through its HTTP surface, or of one opened for the command."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from legion_core.surfaces.cli.http import Wire, part

if TYPE_CHECKING:
    from legion_core.api.webhook_types import Delivery, HookAdded, HookRow, HookSpec
    from legion_core.api.webhooks import Hooks

T = TypeVar("T")
_PATH = "/api/v1/hooks"


class HookDoor(Protocol):
    """See `legion_core.api.webhooks`; all calls block."""

    def list(self) -> "tuple[HookRow, ...]":
        """By name."""
        ...

    def get(self, name: str) -> "HookRow":
        """One of them."""
        ...

    def add(self, spec: "HookSpec") -> "HookAdded":
        """Open an address."""
        ...

    def pause(self, name: str) -> "HookRow":
        """Take no deliveries."""
        ...

    def resume(self, name: str) -> "HookRow":
        """Take them again."""
        ...

    def remove(self, name: str) -> None:
        """Close the address."""
        ...

    def deliveries(self, name: str, limit: int) -> "tuple[Delivery, ...]":
        """What came, latest first."""
        ...


class LocalHooks(HookDoor):
    """See `HookDoor`. `run` waits for a coroutine; `door` opens the node."""

    # ruff: noqa: D102  (every method is documented in the Protocol)

    def __init__(self, run: "Callable[[Coroutine[Any, Any, T]], T]", door: "Callable[[], Hooks]") -> None:
        self._run: Callable[[Coroutine[Any, Any, Any]], Any] = run
        self._door = door

    def list(self) -> "tuple[HookRow, ...]":
        return self._run(self._door().list())

    def get(self, name: str) -> "HookRow":
        return self._run(self._door().get(name))

    def add(self, spec: "HookSpec") -> "HookAdded":
        return self._run(self._door().add(spec))

    def pause(self, name: str) -> "HookRow":
        return self._run(self._door().pause(name))

    def resume(self, name: str) -> "HookRow":
        return self._run(self._door().resume(name))

    def remove(self, name: str) -> None:
        self._run(self._door().remove(name))

    def deliveries(self, name: str, limit: int) -> "tuple[Delivery, ...]":
        return self._run(self._door().deliveries(name, limit=limit)).deliveries


class RemoteHooks(HookDoor):
    """See `HookDoor`: the running node."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self) -> "tuple[HookRow, ...]":
        from legion_core.api.webhook_types import HookRow

        return self._wire.get(_PATH, tuple[HookRow, ...])

    def get(self, name: str) -> "HookRow":
        return self._row("GET", f"{_PATH}/{part(name)}")

    def add(self, spec: "HookSpec") -> "HookAdded":
        from legion_core.api.webhook_types import HookAdded

        return self._wire.ask("POST", _PATH, HookAdded, body=msgspec.to_builtins(spec))

    def pause(self, name: str) -> "HookRow":
        return self._row("POST", f"{_PATH}/{part(name)}/pause")

    def resume(self, name: str) -> "HookRow":
        return self._row("POST", f"{_PATH}/{part(name)}/resume")

    def remove(self, name: str) -> None:
        self._wire.ask("DELETE", f"{_PATH}/{part(name)}", msgspec.Raw)

    def deliveries(self, name: str, limit: int) -> "tuple[Delivery, ...]":
        from legion_core.api.webhook_types import Delivery

        return self._wire.get(f"{_PATH}/{part(name)}/deliveries", tuple[Delivery, ...], limit=limit)

    def _row(self, method: str, path: str) -> "HookRow":
        from legion_core.api.webhook_types import HookRow

        return self._wire.ask(method, path, HookRow)
