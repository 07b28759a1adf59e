# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The Schedules page: what runs again and again, when next, and how it went."""

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QHideEvent, QKeyEvent, QShowEvent
from PySide6.QtWidgets import QStackedWidget, QWidget

from app.theme.apply import look
from app.viewmodels import wording
from app.viewmodels.schedule_draft import Draft
from app.viewmodels.schedule_words import moment_words, run_pill, until_words, words_of
from app.viewmodels.schedules import SchedulesViewModel
from app.views.columns import Captions
from app.views.emptiness import EmptyState
from app.views.frame import PageFrame, opener
from app.views.parts import (
    ElidedLabel,
    Head,
    bind,
    button,
    column,
    fill,
    focus_quietly,
    frame,
    icon_button,
    label,
    taking,
)  # fmt: skip
from app.views.rows import Cell, Column, Line, Lines, Pill
from app.views.schedules.calendar import WeekCalendar
from app.views.schedules.inspector import ScheduleInspector
from app.views.schedules.list import COLUMNS, ROW, ScheduleList
from app.views.services import Services
from app.widgets.segmented import Segmented

LIST_ROWS = 6
SOON_S, SOON_MS = 90.0, 5000
HISTORY_COLUMNS = (Column("Result", 110), Column("Took", 70, True))
CALENDAR_FROM = 420  # height of the page in px at normal text size


class SchedulesPage(PageFrame):
    """The list over a week or a history, and the inspector with the form."""

    def __init__(
        self, services: Services, show_task: Callable[[str], None], tell: Callable[..., None]
    ) -> None:
        self._services = services
        self._show_task = show_task
        self._tell = tell
        self.schedules = SchedulesViewModel(services.bridge, services.now)
        main = self._make_main()
        self.panel = ScheduleInspector(
            self.schedules, self.schedules.remove, lambda: self.show_lower("history"), self._close
        )
        super().__init__("schedules", main, None, self.panel)
        self.schedules.setParent(self)
        self._wants_inspector = True
        self.schedules.changed.connect(self._show)
        self.schedules.selected_changed.connect(self._select)
        self.schedules.week_changed.connect(self._show_week)
        self.schedules.history_changed.connect(self._show_history)
        self.schedules.removed.connect(self._removed)
        self.schedules.saved.connect(
            taking(str, lambda name: self._tell(f"Saved {name}", icon="circle-check"))
        )
        self.schedules.ran.connect(taking(str, lambda name: self._tell(f"{name} runs now", icon="play")))
        # Only while the page is seen: "in 4 min" and the line of the hour move by themselves.
        self._minute = QTimer(self)
        self._minute.setObjectName("schedules.minute")
        self._minute.setSingleShot(True)
        self._minute.timeout.connect(self._minute_passed)
        services.bridge.connected.connect(self.schedules.refresh)
        look().theme_changed.connect(self._fit_list)
        self._show()
        self._show_week()
        self.schedules.visit()

    # The main area

    def _make_main(self) -> QWidget:
        main = frame("page", "schedules.main")
        main.setAccessibleName("Schedules")
        layout = column(main)
        head = Head(left=16, right=12, spacing=8)
        self.count = ElidedLabel("", "small", "tertiary", "schedules.count")
        self.zones = Segmented((("local", "Local time"), ("utc", "UTC")), "Times", small=True)
        self.zones.setObjectName("schedules.zones")
        self.zones.changed.connect(taking(str, lambda key: self.schedules.set_utc(key == "utc")))
        self.new_button = button("New schedule", "schedules.new", self.begin, icon="plus", kind="primary")
        head.add(
            label("Schedules", "heading"), self.count, None, self.zones, self.new_button, opener("schedules")
        )
        layout.addWidget(head)
        self.list = ScheduleList()
        self.head = Captions(COLUMNS, lambda: self.list.viewport().width())
        layout.addWidget(self.head)
        self.list.verticalScrollBar().rangeChanged.connect(bind(self.head.update))
        self.list.chosen.connect(self.schedules.select)
        self.list.opened.connect(taking(str, self._open))
        self.list.toggled.connect(self.schedules.set_active)
        self.list.deleted.connect(self.schedules.remove)
        self.list.run_asked.connect(self.schedules.run_now)
        layout.addWidget(self.list)
        self.below = self._make_lower()
        layout.addWidget(self.below, 1)
        self.empty = Empty(self.begin, self._begin_example)
        layout.addWidget(self.empty, 1)
        return main

    def _make_lower(self) -> QWidget:
        lower = QWidget()
        layout = column(lower)
        head = Head(left=16, right=12, spacing=8)
        self.lower_title = label("This week", "uiStrong", name="schedules.lowerTitle")
        self.lower_words = ElidedLabel("", "small", "tertiary", "schedules.lowerWords")
        self.back = icon_button(
            "chevron-left",
            "schedules.before",
            "The week before",
            lambda: self.schedules.show_week(-1),
            small=True,
        )
        self.today = button(
            "Today",
            "schedules.today",
            lambda: self.schedules.show_week(0),
            kind="ghost",
            small=True,
            tip="This week",
        )
        self.forth = icon_button(
            "chevron-right",
            "schedules.after",
            "The week after",
            lambda: self.schedules.show_week(1),
            small=True,
        )
        self.which = Segmented((("week", "Week"), ("history", "History")), "Below the list", small=True)
        self.which.setObjectName("schedules.which")
        self.which.changed.connect(taking(str, self.show_lower))
        head.add(self.lower_title, self.lower_words, None, self.back, self.today, self.forth, self.which)
        self.lower_stack = QStackedWidget()
        self.calendar = WeekCalendar(self._services.now)
        self.calendar.chosen.connect(taking(str, self._choose))
        self.lower_stack.addWidget(self.calendar)
        page = QWidget()
        inner = column(page)
        self.history = Lines("schedules.runsList", "What became of its moments", HISTORY_COLUMNS, height=36)
        self.history.opened.connect(taking(str, self._open_run))
        self.no_history = label("It has not run yet.", "small", "tertiary")
        self.no_history.setAlignment(Qt.AlignmentFlag.AlignCenter)
        fill(inner, self.history.head("When and why"), self.history, self.no_history)
        inner.setStretch(1, 1)
        inner.setStretch(2, 1)
        self.lower_stack.addWidget(page)
        layout.addWidget(head)
        layout.addWidget(self.lower_stack, 1)
        return lower

    # What is shown

    def _show(self) -> None:
        schedules, now = self.schedules, self._services.now()
        zone = schedules.shown_zone()
        lines = [words_of(row_, schedules.last.get(row_.name), now, zone) for row_ in schedules.rows]
        self.list.lines.show_rows(lines)
        self.list.select(schedules.selected)
        soonest = schedules.next_fire()
        parts = [wording.plural(len(lines), "schedule")] if lines else []
        if soonest is not None:
            parts.append(f"next {until_words(soonest, now)}")
        self.count.set_words(", ".join(parts))
        is_empty = schedules.is_loaded and not lines
        had_focus = self.list.hasFocus()
        for part in (self.head, self.list):
            part.setVisible(not is_empty)
        self.empty.setVisible(is_empty)
        if had_focus and is_empty:
            self.take_focus()  # else Qt takes it to whatever comes next, which closes the inspector
        self._fit_list()
        if not self._minute.isActive():
            self._wait_minute()

    def _select(self) -> None:
        self.list.select(self.schedules.selected)
        self.calendar.show_week(self.schedules.week, self.schedules.selected)
        self._say_lower()

    def _show_week(self) -> None:
        self.calendar.show_week(self.schedules.week, self.schedules.selected)
        self._say_lower()

    def _show_history(self) -> None:
        schedules, now = self.schedules, self._services.now()
        zone = schedules.shown_zone()
        lines: list[Line] = []
        for at, run in enumerate(schedules.history):
            found = run.occurrence
            words, tone, glyph = run_pill(run)
            lines.append(
                Line(
                    key=f"{at}:{found.task or found.run}", title=moment_words(found.at, now, zone), detail=run.why,
                    cells=(Cell(pill=Pill(words, tone, glyph)), Cell(wording.duration(run.took_s), colour="text.secondary")),  # type: ignore[arg-type]
                )
            )  # fmt: skip
        self.history.lines.show_rows(lines)
        self.history.setVisible(bool(lines))
        self.no_history.setVisible(not lines)
        self._say_lower()

    def _say_lower(self) -> None:
        is_week = self.which.choice == "week"
        schedules = self.schedules
        if is_week:
            from app.viewmodels.schedule_week import monday_of

            is_now = schedules.monday == monday_of(self._services.now().date())
            self.lower_title.setText("This week" if is_now else "Week")
            self.lower_words.set_words(schedules.week.sentence)
        else:
            self.lower_title.setText("History")
            self.lower_words.set_words(schedules.selected)
        for part in (self.back, self.today, self.forth):
            part.setVisible(is_week)

    # What a person does

    def run(self, verb: str) -> None:
        """Do what a command of this page says: new, runNow, history."""
        match verb:
            case "new":
                self.begin()
            case "runNow" if self.schedules.selected:
                self.schedules.run_now(self.schedules.selected)
            case _:
                self.show_lower("history")

    def begin(self) -> None:
        """A new schedule."""
        self.show_inspector()
        self.panel.begin()

    def _begin_example(self) -> None:
        self.show_inspector()
        self.panel.begin(
            Draft(
                name="good-morning",
                target="log.message.write",
                cron="0 8 * * 1-5",
                zone=self.schedules.zone,
                args={"message": "Good morning"},
            )
        )

    def choose(self, name: str) -> None:
        """Stand on a schedule."""
        self._choose(name)
        self.take_focus()

    def show_lower(self, which: str) -> None:
        """The week, or the history of the selected schedule."""
        self.which.choose(which)
        self.lower_stack.setCurrentIndex(0 if which == "week" else 1)
        self._say_lower()

    def take_focus(self, reason: Qt.FocusReason = Qt.FocusReason.OtherFocusReason) -> None:
        """The list has the focus, or what makes the first schedule."""
        focus_quietly(self.list if self.list.isVisibleTo(self) else self.empty.new_button, reason)

    def _choose(self, name: str) -> None:
        self.schedules.select(name)

    def _open(self, _name: str) -> None:
        self.show_inspector()
        form = self.panel.form
        target = {"cron": form.cron, "every": form.every, "words": form.words}[form.how.choice]
        target.setFocus(Qt.FocusReason.TabFocusReason)

    def _open_run(self, key: str) -> None:
        task = key.partition(":")[2]
        if task:
            self._show_task(task)

    def _removed(self, name: str, row_: Any) -> None:
        self._tell(f"Removed {name}", icon="trash-2", undo=lambda: self.schedules.restore(row_))

    def _close(self) -> None:
        if self.panel.is_new:
            self.panel.discard()
        self.show_inspector(False)

    # Room and sight

    def _fit_list(self) -> None:
        lines = len(self.schedules.rows)
        most = LIST_ROWS if self.height() >= look().px(640) else 4
        has_lower = self.height() >= look().px(CALENDAR_FROM)
        self.below.setVisible(has_lower and bool(lines))
        # Without the week the list takes all the room.
        tall = max(1, min(lines, most)) * look().px(ROW)
        self.list.setMinimumHeight(tall if has_lower else look().px(ROW))
        self.list.setMaximumHeight(tall if has_lower else 16_777_215)

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self._fit_list()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.schedules.set_shown(True)
        self._minute_passed()

    def _minute_passed(self) -> None:
        self._show()
        self.calendar.update()
        self._wait_minute()

    def _wait_minute(self) -> None:
        now = self._services.now()
        soonest = self.schedules.next_fire()
        is_soon = soonest is not None and (soonest - now).total_seconds() < SOON_S
        if self.schedules.rows and self.isVisible():
            self._minute.start(SOON_MS if is_soon else round((60.1 - now.second) * 1000))

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._minute.stop()
        self.schedules.set_shown(False)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        is_enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if is_enter and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.panel.save()
            return
        if event.key() == Qt.Key.Key_Escape and self.panel.is_new:
            self.panel.discard()
            self.take_focus()
            return
        super().keyPressEvent(event)


class Empty(EmptyState):
    """What schedules are for, and the first one."""

    def __init__(self, begin: Callable[[], None], example: Callable[[], None]) -> None:
        self.new_button = button("New schedule", "schedules.first", begin, icon="plus", small=True)
        self.example_button = button(
            "Start from an example", "schedules.example", example, small=True, tip="A line in the log every weekday morning"
        )  # fmt: skip
        super().__init__("schedules.empty", "calendar-clock", self.new_button, self.example_button)
        self.say(
            "Nothing is scheduled",
            "A schedule runs a task or a chain by the clock: every weekday at nine, every ten minutes. "
            "What is missed while this computer sleeps is made up for as you say.",
        )
