"""What the command line asks of a node about schedules: through its HTTP surface, or of one opened for the command."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from legion_core.surfaces.cli.http import Wire, part

if TYPE_CHECKING:
    from legion_core.api.schedule_types import Fires, Occurrence, ScheduleRow, ScheduleSpec
    from legion_core.api.schedules import Schedules

T = TypeVar("T")
_PATH = "/api/v1/schedules"


class ScheduleDoor(Protocol):
    """See `legion_core.api.schedules`; all calls block."""

    def list(self) -> "tuple[ScheduleRow, ...]":
        """By name."""
        ...

    def get(self, name: str) -> "ScheduleRow":
        """One of them."""
        ...

    def add(self, spec: "ScheduleSpec") -> "ScheduleRow":
        """Keep a new one."""
        ...

    def pause(self, name: str) -> "ScheduleRow":
        """Hold it."""
        ...

    def resume(self, name: str) -> "ScheduleRow":
        """Go on."""
        ...

    def remove(self, name: str) -> None:
        """Forget it."""
        ...

    def run(self, name: str) -> "Occurrence":
        """Once more, now."""
        ...

    def runs(self, name: str, limit: int) -> "tuple[Occurrence, ...]":
        """What became of its moments, latest first."""
        ...

    def preview(self, cron: str, zone: str, every_s: float, count: int) -> "Fires":
        """When a timing would fire."""
        ...


class LocalSchedules(ScheduleDoor):
    """See `ScheduleDoor`. `run` waits for a coroutine; `door` opens the node."""

    # ruff: noqa: D102  (every method is documented in the Protocol)

    def __init__(self, run: "Callable[[Coroutine[Any, Any, T]], T]", door: "Callable[[], Schedules]") -> None:
        self._run: Callable[[Coroutine[Any, Any, Any]], Any] = run
        self._door = door

    def list(self) -> "tuple[ScheduleRow, ...]":
        return self._run(self._door().list())

    def get(self, name: str) -> "ScheduleRow":
        return self._run(self._door().get(name))

    def add(self, spec: "ScheduleSpec") -> "ScheduleRow":
        return self._run(self._door().add(spec))

    def pause(self, name: str) -> "ScheduleRow":
        return self._run(self._door().pause(name))

    def resume(self, name: str) -> "ScheduleRow":
        return self._run(self._door().resume(name))

    def remove(self, name: str) -> None:
        self._run(self._door().remove(name))

    def run(self, name: str) -> "Occurrence":
        return self._run(self._door().run_now(name))

    def runs(self, name: str, limit: int) -> "tuple[Occurrence, ...]":
        return self._run(self._door().runs(name, limit=limit)).occurrences

    def preview(self, cron: str, zone: str, every_s: float, count: int) -> "Fires":
        return self._door().preview(cron=cron, zone=zone, every_s=every_s, count=count)


class RemoteSchedules(ScheduleDoor):
    """See `ScheduleDoor`: the running node."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self) -> "tuple[ScheduleRow, ...]":
        from legion_core.api.schedule_types import ScheduleRow

        return self._wire.get(_PATH, tuple[ScheduleRow, ...])

    def get(self, name: str) -> "ScheduleRow":
        return self._row("GET", f"{_PATH}/{part(name)}")

    def add(self, spec: "ScheduleSpec") -> "ScheduleRow":
        return self._row("POST", _PATH, msgspec.to_builtins(spec))

    def pause(self, name: str) -> "ScheduleRow":
        return self._row("POST", f"{_PATH}/{part(name)}/pause")

    def resume(self, name: str) -> "ScheduleRow":
        return self._row("POST", f"{_PATH}/{part(name)}/resume")

    def remove(self, name: str) -> None:
        self._wire.ask("DELETE", f"{_PATH}/{part(name)}", msgspec.Raw)

    def run(self, name: str) -> "Occurrence":
        from legion_core.api.schedule_types import Occurrence

        return self._wire.ask("POST", f"{_PATH}/{part(name)}/run", Occurrence)

    def runs(self, name: str, limit: int) -> "tuple[Occurrence, ...]":
        from legion_core.api.schedule_types import Occurrence

        return self._wire.get(f"{_PATH}/{part(name)}/runs", tuple[Occurrence, ...], limit=limit)

    def preview(self, cron: str, zone: str, every_s: float, count: int) -> "Fires":
        from legion_core.api.schedule_types import Fires

        body = {"cron": cron, "zone": zone, "every_s": every_s, "count": count}
        return self._wire.ask("POST", f"{_PATH}/preview", Fires, body=body)

    def _row(self, method: str, path: str, body: object = None) -> "ScheduleRow":
        from legion_core.api.schedule_types import ScheduleRow

        return self._wire.ask(method, path, ScheduleRow, body=body)
