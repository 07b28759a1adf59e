"""The Schedules page: the list with how each stands, the history and the coming week, and what a person orders."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from app.bridge import Bridge
from app.viewmodels.schedule_draft import Draft, spec_of, spec_of_row
from app.viewmodels.schedule_reading import (
    Preview,
    Run,
    Target,
    rates_of,
    read_choices,
    read_fires,
    read_history,
    read_preview,
    read_rows,
)
from app.viewmodels.schedule_week import Fire, Week, monday_of, week_of
from legion_core.api.schedule_types import Occurrence, ScheduleRow
from legion_core.api.schedules import ScheduleChanged, ScheduleFired
from legion_core.api.tasks import TaskFinished
from legion_core.api.types import Event

HISTORY = 100
RUNS_SHOWN = 20
RELOAD_PAUSE_MS = 250
PREVIEW_PAUSE_MS = 150


class SchedulesViewModel(QObject):
    """See the module. Times are UTC until a view shows them."""

    changed = Signal()
    """The list is new."""
    selected_changed = Signal()
    history_changed = Signal()
    week_changed = Signal()
    preview_changed = Signal()
    choices_changed = Signal()
    saved = Signal(str)
    save_failed = Signal(str)
    removed = Signal(str, object)
    """`(name, row)`: what is needed to make it again."""
    ran = Signal(str)

    def __init__(self, bridge: Bridge, now: Callable[[], datetime]) -> None:
        super().__init__()
        self.setObjectName("viewmodel.schedules")
        self._bridge = bridge
        self.now = now
        self.rows: tuple[ScheduleRow, ...] = ()
        self.last: dict[str, Run] = {}
        self.history: tuple[Run, ...] = ()
        self.selected = ""
        self.is_loaded = False
        self.is_utc = False
        self.preview = Preview()
        self.targets: tuple[Target, ...] = ()
        self.zones: tuple[str, ...] = ()
        self.zone = "UTC"
        self.monday = monday_of(now().date())
        self.week: Week = week_of(self.monday, ())
        self._tasks: dict[str, str] = {}
        self._is_visited = False
        self._is_shown = True
        self._is_stale = False
        self._is_loading = False
        self._asked = 0
        self._wanted: tuple[str, str, float] = ("", "UTC", 0.0)
        self._pause = self._timer("schedules.reload", RELOAD_PAUSE_MS, self._reload)
        self._preview_pause = self._timer("schedules.preview", PREVIEW_PAUSE_MS, self._ask_preview)
        bridge.watch(self._on_facts, ScheduleChanged, ScheduleFired, TaskFinished)
        bridge.lost.connect(self.refresh)

    def _timer(self, name: str, interval_ms: int, run: Callable[[], None]) -> QTimer:
        made = QTimer(self)
        made.setObjectName(name)
        made.setSingleShot(True)
        made.setInterval(interval_ms)
        made.timeout.connect(run)
        return made

    # What is shown

    @property
    def current(self) -> ScheduleRow | None:
        """The selected schedule."""
        return next((row for row in self.rows if row.name == self.selected), None)

    def target(self, name: str) -> Target | None:
        """What is known of something that can be run."""
        return next((target for target in self.targets if target.name == name), None)

    def next_fire(self) -> datetime | None:
        """The soonest moment of all."""
        return min((row.next[0] for row in self.rows if row.next), default=None)

    def shown_zone(self) -> Any:
        """The zone moments are shown in."""
        return UTC if self.is_utc else self.now().tzinfo

    def visit(self) -> None:
        """The page is shown for the first time."""
        if not self._is_visited:
            self._is_visited = True
            self.refresh()
            self._bridge.launch("schedules.choices", read_choices, self._take_choices)

    def set_shown(self, is_shown: bool) -> None:
        """Whether the page can be seen; a hidden one reads nothing."""
        self._is_shown = is_shown
        if is_shown and self._is_stale:
            self._reload()

    def refresh(self) -> None:
        """Read all of it anew."""
        if not self._is_visited:
            return
        if self._is_loading:
            self._is_stale = True
            return
        self._is_loading, self._is_stale = True, False

        def done(found: tuple[tuple[ScheduleRow, ...], dict[str, Run]]) -> None:
            self._is_loading = False
            self.is_loaded = True
            self.rows, self.last = found
            self._tasks = {
                run.occurrence.task: name for name, run in self.last.items() if run.occurrence.task
            }
            if self.current is None:
                self.selected = self.rows[0].name if self.rows else ""
            self.changed.emit()
            self.selected_changed.emit()
            self._ask_history()
            self._ask_week()
            if self._is_stale:
                self.refresh()

        def failed(sentence: str) -> None:
            self._is_loading = False
            self._bridge.refused.emit(sentence)

        self._bridge.launch("schedules.list", read_rows, done, failed)

    def select(self, name: str) -> None:
        """Fill the inspector with this one."""
        if name != self.selected:
            self.selected = name
            self.history = ()
            if (row := self.current) is not None:
                # What is known at once; the rest follows.
                self.preview = Preview(words=row.words, fires=row.next)
            self.selected_changed.emit()
            self._ask_history()

    def show_week(self, step: int) -> None:
        """The week before or after; 0 the one of today."""
        self.monday = self.monday + timedelta(days=7 * step) if step else monday_of(self.now().date())
        self._ask_week()

    def set_utc(self, is_utc: bool) -> None:
        """Show moments in UTC or in local time."""
        self.is_utc = is_utc
        self.changed.emit()
        self.preview_changed.emit()
        self.history_changed.emit()
        self._ask_week()

    # What a person orders

    def set_active(self, name: str, is_active: bool) -> None:
        """Resume or pause."""

        async def order(legion: Any) -> object:
            return await (legion.schedules.resume(name) if is_active else legion.schedules.pause(name))

        self._bridge.launch("schedules.switch", order, lambda _: self.refresh(), self._refused)

    def run_now(self, name: str) -> None:
        """One run more, outside the timing."""

        def done(found: Occurrence) -> None:
            if found.status == "started":
                self.ran.emit(name)
            else:
                why = found.reason.sentence if found.reason else ""
                self._bridge.refused.emit(f"{name} did not run. {why}".strip())
            self.refresh()

        self._bridge.launch(
            "schedules.runNow", lambda legion: legion.schedules.run_now(name), done, self._refused
        )

    def remove(self, name: str) -> None:
        """Forget it; `removed` carries what brings it back."""
        row = next((row for row in self.rows if row.name == name), None)
        if row is None:
            return

        def done(_: object) -> None:
            self.removed.emit(name, row)
            self.refresh()

        self._bridge.launch(
            "schedules.remove", lambda legion: legion.schedules.remove(name), done, self._refused
        )

    def restore(self, row: ScheduleRow) -> None:
        """Make a removed one again, paused if it was."""

        async def order(legion: Any) -> None:
            await legion.schedules.add(spec_of_row(row))
            if row.state == "paused":
                await legion.schedules.pause(row.name)

        def done(_: object) -> None:
            self.selected = row.name
            self.refresh()

        self._bridge.launch("schedules.restore", order, done, self._refused)

    def save(self, draft: Draft, name: str = "") -> None:
        """Keep a draft: a new schedule, or in place of the one named. `saved` or `save_failed` tells."""
        target = self.target(draft.target)
        try:
            spec = spec_of(draft, target.arguments if target else ())
        except ValueError as error:
            self.save_failed.emit(str(error))
            return

        async def order(legion: Any) -> ScheduleRow:
            return await (legion.schedules.change(name, spec) if name else legion.schedules.add(spec))

        def done(row: ScheduleRow) -> None:
            self.selected = row.name
            self.saved.emit(row.name)
            self.refresh()

        self._bridge.launch("schedules.save", order, done, self.save_failed.emit)

    def ask_preview(self, cron: str, zone: str, every_s: float) -> None:
        """Reckon what a timing would do; `preview_changed` tells, a moment after the last word typed."""
        self._wanted = (cron, zone, every_s)
        self._preview_pause.start()

    def _ask_preview(self) -> None:
        cron, zone, every_s = self._wanted
        self._asked += 1
        number = self._asked
        if not cron and not every_s:
            self.preview = Preview()
            self.preview_changed.emit()
            return
        now = self.now()

        async def ask(legion: Any) -> Preview:
            return await read_preview(legion, cron, zone, every_s, now)

        def done(found: Preview) -> None:
            if number == self._asked:
                self.preview = found
                self.preview_changed.emit()

        def failed(sentence: str) -> None:
            done(Preview(fault=sentence))

        self._bridge.launch("schedules.preview", ask, done, failed)

    # Reading

    def _refused(self, sentence: str) -> None:
        self._bridge.refused.emit(sentence)
        self.refresh()

    def _take_choices(self, found: "tuple[tuple[Target, ...], tuple[str, ...], str]") -> None:
        self.targets, self.zones, self.zone = found
        self.choices_changed.emit()

    def _ask_history(self) -> None:
        name, row = self.selected, self.current
        if row is None:
            self.history = ()
            self.history_changed.emit()
            return

        def done(found: tuple[Run, ...]) -> None:
            if name == self.selected:
                self.history = found
                self.history_changed.emit()

        self._bridge.launch(
            "schedules.history",
            lambda legion: read_history(legion, name, row.target, HISTORY),
            done,
            lambda _: None,
        )

    def _ask_week(self) -> None:
        monday, rows, zone, now = self.monday, self.rows, self.shown_zone(), self.now()
        start = datetime(monday.year, monday.month, monday.day, tzinfo=zone)

        async def ask(legion: Any) -> Sequence[Fire]:
            return await read_fires(legion, rows, start, now)

        def done(fires: Sequence[Fire]) -> None:
            if monday == self.monday:
                self.week = week_of(monday, fires, rates_of(rows))
                self.week_changed.emit()

        self._bridge.launch("schedules.week", ask, done)

    def _on_facts(self, facts: Sequence[Event]) -> None:
        if not self._is_visited:
            return
        for fact in facts:
            if isinstance(fact, TaskFinished) and fact.id not in self._tasks:
                continue
            self._is_stale = True
        if self._is_stale and self._is_shown and not self._pause.isActive():
            self._pause.start()

    def _reload(self) -> None:
        if self._is_shown:
            self.refresh()
