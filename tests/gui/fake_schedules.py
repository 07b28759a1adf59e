"""Schedules in memory, with the facade's own words; moments are reckoned by the real code."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec

from legion_core.api.extension_types import ExtensionRow, FunctionRow
from legion_core.api.schedule_types import Fires, Occurrence, OccurrencePage, ScheduleRow, ScheduleSpec
from legion_core.api.schedules import ScheduleChanged, ScheduleFired
from legion_core.api.types import EventBus
from legion_core.engine.schedule_plan import at_ms, checked_timing, moment_at, moments, timing_words
from legion_core.kernel.errors import Conflict, InvalidInput


class FakeSchedules:
    def __init__(self, bus: EventBus, now: datetime) -> None:
        self.bus, self.now = bus, now
        self.held: dict[str, ScheduleRow] = {}
        self.occurrences: dict[str, list[Occurrence]] = {}
        self.calls: list[tuple[Any, ...]] = []

    def preview(
        self,
        *,
        cron: str = "",
        zone: str = "UTC",
        every_s: float = 0.0,
        after: datetime | None = None,
        count: int = 10,
    ) -> Fires:
        start = at_ms(after or self.now)
        timing = checked_timing(cron, zone, every_s, start)
        found = moments(timing, start)
        fires = tuple(moment_at(each) for each, _ in zip(found, range(count), strict=False))
        return Fires(fires=fires, words=timing_words(timing))

    def _row(self, spec: ScheduleSpec, state: str = "active") -> ScheduleRow:
        told = self.preview(cron=spec.cron, zone=spec.zone, every_s=spec.every_s, count=5)
        latest = self.occurrences.get(spec.name, [])
        values = {name: getattr(spec, name) for name in ScheduleSpec.__struct_fields__}
        return ScheduleRow(
            id=f"sch_{spec.name}", state=state, words=told.words, next=told.fires if state == "active" else (),  # type: ignore[arg-type]
            last=latest[0] if latest else None, created_at=self.now, changed_at=self.now, **values,
        )  # fmt: skip

    def _spec(self, row: ScheduleRow) -> ScheduleSpec:
        return ScheduleSpec(**{name: getattr(row, name) for name in ScheduleSpec.__struct_fields__})

    def _tell(self, name: str, *, is_gone: bool = False) -> None:
        utc, mono = self.bus.stamp()
        self.bus.publish(ScheduleChanged(at_utc=utc, at_mono_s=mono, name=name, is_gone=is_gone))

    def put(self, name: str, **fields: Any) -> ScheduleRow:
        """A schedule that was there before."""
        made = self._row(ScheduleSpec(**{"name": name, "target": "log.message.write", **fields}))
        self.held[name] = made
        return made

    def fired(self, name: str, *, minutes_ago: float, task: str = "", **fields: Any) -> None:
        """A moment that was decided; the fact is published."""
        at = self.now - timedelta(minutes=minutes_ago)
        made = Occurrence(
            schedule=name, at=at, decided_at=at, **{"status": "started", "task": task, **fields}
        )
        self.occurrences.setdefault(name, []).insert(0, made)
        self.held[name] = msgspec.structs.replace(self.held[name], last=made)
        utc, mono = self.bus.stamp()
        self.bus.publish(
            ScheduleFired(at_utc=utc, at_mono_s=mono, schedule=name, at=at, status=made.status, task=task)
        )

    async def list(self) -> tuple[ScheduleRow, ...]:
        self.calls.append(("list",))
        return tuple(self.held[name] for name in sorted(self.held))

    async def add(self, spec: ScheduleSpec) -> ScheduleRow:
        self.calls.append(("add", spec))
        if spec.name in self.held:
            raise Conflict(f"There is a schedule {spec.name} already.", hint="Choose another name.")
        if " " in spec.name:
            raise InvalidInput(f"The name {spec.name!r} has a blank.")
        self.held[spec.name] = self._row(spec)
        self._tell(spec.name)
        return self.held[spec.name]

    async def change(self, name: str, spec: ScheduleSpec) -> ScheduleRow:
        self.calls.append(("change", name, spec))
        state = self.held.pop(name).state
        self.held[spec.name] = self._row(spec, state)
        self._tell(spec.name)
        return self.held[spec.name]

    async def pause(self, name: str) -> ScheduleRow:
        self.calls.append(("pause", name))
        self.held[name] = self._row(self._spec(self.held[name]), "paused")
        self._tell(name)
        return self.held[name]

    async def resume(self, name: str) -> ScheduleRow:
        self.calls.append(("resume", name))
        self.held[name] = self._row(self._spec(self.held[name]))
        self._tell(name)
        return self.held[name]

    async def remove(self, name: str) -> None:
        self.calls.append(("remove", name))
        del self.held[name]
        self._tell(name, is_gone=True)

    async def run_now(self, name: str) -> Occurrence:
        self.calls.append(("run_now", name))
        return Occurrence(schedule=name, at=self.now, decided_at=self.now, status="started", task="task_now")

    async def runs(self, name: str, *, limit: int = 50, cursor: str = "") -> OccurrencePage:
        return OccurrencePage(occurrences=tuple(self.occurrences.get(name, ())[:limit]))


class FakeExtensions:
    def __init__(self) -> None:
        self.rows = (
            ExtensionRow(
                name="log", origin="builtin",
                functions=(_function("log.message.write", "Write a line.", message="string", data="", level=("info", "error")),),
            ),
            ExtensionRow(
                name="http", origin="builtin",
                functions=(_function("http.request.get", "Fetch an address.", needed=("url",), url="string", timeout_s="number"),),
            ),
        )  # fmt: skip

    async def list(self) -> tuple[ExtensionRow, ...]:
        return self.rows


def _function(name: str, about: str, needed: tuple[str, ...] = (), **kinds: Any) -> FunctionRow:
    properties = {
        key: {"enum": list(kind)} if isinstance(kind, tuple) else {"type": kind} if kind else {}
        for key, kind in kinds.items()
    }
    schema = {"type": "object", "properties": properties, "required": list(needed)}
    return FunctionRow(
        name=name,
        description=about,
        arguments=schema,
        effect="plain",
        timeout_s=30,
        retries=0,
        runs_in="loop",
    )


class NoChains:
    """A node without chains."""

    async def list(self) -> tuple[Any, ...]:
        return ()
