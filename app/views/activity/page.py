# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The Activity page: everything that ran here, why it went as it did, and where the time went."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication, QHideEvent, QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import QFileDialog, QFrame, QMenu, QWidget

from app.theme.apply import look
from app.theme.icons import icon, set_icon
from app.viewmodels import wording
from app.viewmodels.activity import ActivityViewModel
from app.viewmodels.activity_detail import ActivityDetailViewModel
from app.viewmodels.activity_export import Form, write
from app.viewmodels.activity_figures import day_figures
from app.viewmodels.activity_query import Filter
from app.views.activity.filters import FilterBar
from app.views.activity.inspector import ActivityInspector
from app.views.activity.table import COLUMNS, ActivityTable
from app.views.columns import Captions
from app.views.emptiness import EmptyState
from app.views.frame import PageFrame
from app.views.parts import (
    Head,
    bind,
    button,
    column,
    focus_quietly,
    frame,
    icon_button,
    label,
    line,
    row,
    taking,
)
from app.views.services import Services
from app.widgets.bars import Figure

Tell = Callable[..., None]


class ActivityPage(PageFrame):
    """The list with its filter, the figures of the last day, and the inspector."""

    def __init__(self, services: Services, open_chat: Callable[[str], None], tell: Tell) -> None:
        self._services = services
        self._tell = tell
        self.activity = ActivityViewModel(services.bridge, services.now)
        self.details = ActivityDetailViewModel(services.bridge, self.activity, services.now)
        main = self._make_main()
        self.panel = ActivityInspector(
            self.details, open_chat, self._show_key, self._show_run, lambda: self.show_inspector(False)
        )
        super().__init__("activity", main, None, self.panel)
        self.activity.setParent(self)
        self.details.setParent(self)
        self._wants_inspector = True
        self._is_other = False  # another filter: what was looked at need not be in the list any more
        self.activity.filter_changed.connect(self._note_other)
        self.activity.reset.connect(self._show)
        self.activity.grew.connect(self._show)
        self.activity.extended.connect(self._show)
        self.activity.pending_changed.connect(self._show_pending)
        self.activity.live_changed.connect(self._show_live)
        self.activity.figures_changed.connect(self._show_figures)
        self.details.done.connect(self._done)
        services.bridge.connected.connect(self.activity.refresh)
        self._show_live()
        self._show_figures()
        self._show()
        self.activity.visit()

    # The main area

    def _make_main(self) -> QWidget:
        main = frame("page", "activity.main")
        main.setAccessibleName("Activity")
        layout = column(main)
        head = Head(left=16, right=12, spacing=8)
        self.count = label("", "small", "tertiary", name="activity.count")
        self.live_button = button("Live", "activity.live", self._toggle_live, kind="ghost")
        self.live_button.setCheckable(True)
        self.export_button = button(
            "Export…", "activity.export", self.export, icon="download", tip="Write what the list shows to a file"
        )  # fmt: skip
        self.inspector_button = icon_button(
            "panel-right", "activity.inspectorButton", "Details", self.toggle_inspector, keys="Ctrl I"
        )
        head.add(
            label("Activity", "heading"),
            self.count,
            None,
            self.live_button,
            self.export_button,
            self.inspector_button,
        )
        layout.addWidget(head)
        self.figures = (
            Figure("activity.spent", "Spent, last 24 hours"),
            Figure("activity.local", "Answered on this computer"),
            Figure("activity.saved", "Left out by curation"),
            Figure("activity.tasks", "Tasks, last 24 hours"),
        )
        self.band = FigureBand(self.figures)
        layout.addWidget(self.band)
        self.filters = FilterBar(self.activity, self._go_down)
        layout.addWidget(self.filters)
        layout.addWidget(line("lineNormal"))
        self.table = ActivityTable(self.activity, self._services.now)
        self.head = Captions(COLUMNS, lambda: self.table.viewport().width())
        layout.addWidget(self.head)
        self.table.verticalScrollBar().rangeChanged.connect(bind(self.head.update))
        self.table.chosen.connect(self.activity.select)
        self.table.opened.connect(bind(self._open))
        self.table.menu_asked.connect(self._menu)
        self.table.escaped_up.connect(self.find_here)
        layout.addWidget(self.table, 1)
        self.empty = Empty(self._clear_filter, self._try_task)
        layout.addWidget(self.empty, 1)
        self.pending_button = button("", "activity.pending", self._take_pending, icon="arrow-up", small=True)
        self.pending_button.setParent(self.table)
        self.pending_button.hide()
        return main

    # What is shown

    def _show(self) -> None:
        activity = self.activity
        many = f"{wording.count(activity.count)}{' newest' if activity.is_cut else ''}"
        self.count.setText(f"{many} {'line' if activity.count == 1 else 'lines'}" if activity.count else "")
        is_empty = activity.is_loaded and not activity.count
        had_focus = self.table.hasFocus()
        self.table.setVisible(not is_empty)
        self.empty.setVisible(is_empty)
        if had_focus and is_empty:
            self.take_focus()  # else Qt takes it to whatever comes next
        self.empty.show_case(activity.problem, is_filtered=not activity.filter.is_empty)
        self.export_button.setEnabled(bool(activity.count))
        self.export_button.setToolTip(
            "Write what the list shows to a file" if activity.count else "There is nothing to write"
        )
        is_lost = self._is_other and activity.place_of(activity.selected) < 0
        if activity.count and (not activity.selected or is_lost):
            self.activity.select(activity.key_at(0))
            self.table.select_key(activity.selected, scrolls=False)
        self._is_other = False

    def _note_other(self) -> None:
        self._is_other = True

    def _show_pending(self) -> None:
        waiting = len(self.activity.pending)
        self.pending_button.setVisible(bool(waiting))
        if waiting:
            self.pending_button.setText(f"{wording.count(waiting)} new")
            self.pending_button.setToolTip("Go to the newest")
            self.pending_button.setAccessibleName(f"{wording.count(waiting)} new, go to the newest")
            self._place_pending()

    def _place_pending(self) -> None:
        self.pending_button.adjustSize()
        left = (self.table.viewport().width() - self.pending_button.width()) // 2
        self.pending_button.move(left, 8)
        self.pending_button.raise_()

    def _show_live(self) -> None:
        is_live = self.activity.is_live
        self.live_button.setChecked(False)
        self.live_button.setText("Live" if is_live else "Paused")
        self.live_button.setAccessibleName(
            "Live, a press stops the list" if is_live else "Paused, a press goes on"
        )
        self.live_button.setToolTip("New lines appear by themselves" if is_live else "New lines wait")
        set_icon(
            self.live_button,
            "circle-filled" if is_live else "circle-pause",
            "ok.mark" if is_live else "text.tertiary",
            8 if is_live else 14,
        )

    def _show_figures(self) -> None:
        found = day_figures(self.activity.hours, self._services.now())
        for shown, figure in zip(self.figures, found, strict=True):
            shown.show_figure(figure.number, figure.detail, figure.bars, tone=figure.tone, table=figure.table)

    # What a person does

    def run(self, verb: str) -> None:
        """Do what a command of this page says: export, failed, unrun, slow, live."""
        match verb:
            case "export":
                self.export()
            case "live":
                self._toggle_live()
            case _:
                self.filters.show_view(verb)
                self.take_focus()

    def show_task(self, task_id: str) -> None:
        """Find a task by its id and look at it."""
        self.activity.show(Filter(words=task_id))
        self.show_inspector()

    def find_here(self) -> None:
        """Search in this page."""
        self.filters.field.line.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.filters.field.line.selectAll()

    def take_focus(self, reason: Qt.FocusReason = Qt.FocusReason.OtherFocusReason) -> None:
        """The list has the focus, or the field where there is none."""
        focus_quietly(self.table if self.table.isVisibleTo(self) else self.filters.field.line, reason)

    def export(self) -> None:
        """Ask where to, and write what the list shows, newest first."""
        if not self.activity.count:
            return
        dialog = QFileDialog(self, "Export activity")
        dialog.setObjectName("activity.exportDialog")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilters(["Table (*.csv)", "JSON lines (*.jsonl)"])
        dialog.setDefaultSuffix("csv")
        dialog.filterSelected.connect(
            taking(str, lambda chosen: dialog.setDefaultSuffix("jsonl" if "jsonl" in chosen else "csv"))
        )
        dialog.selectFile(f"activity-{self._services.now():%Y-%m-%d}.csv")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._export_to)
        dialog.open()

    def _export_to(self, name: str) -> None:
        path = Path(name)
        form: Form = "jsonl" if path.suffix.lower() in (".jsonl", ".json", ".ndjson") else "csv"
        keys = tuple(reversed(self.activity.keys))

        def done(written: int) -> None:
            self._tell(f"Wrote {wording.plural(written, 'line')} to {path.name}", icon="download")

        self._services.bridge.launch("activity.export", lambda legion: write(legion, keys, path, form), done)

    def _toggle_live(self) -> None:
        self.activity.set_live(not self.activity.is_live)

    def _take_pending(self) -> None:
        self.table.to_top()
        self.activity.hold(False)
        self.activity.take_pending()
        self.take_focus()

    def _go_down(self) -> None:
        if self.table.isVisibleTo(self):
            self.table.setFocus(Qt.FocusReason.TabFocusReason)
            if not self.table.currentIndex().isValid():
                self.table.setCurrentIndex(self.table.rows.index(0, 0))

    def _open(self) -> None:
        self.show_inspector()

    def _show_key(self, key: str) -> None:
        self.activity.select(key)
        self.table.select_key(key)

    def _show_run(self, name: str, value: str) -> None:
        self.activity.show(Filter().with_field(name, value))

    def _clear_filter(self) -> None:
        self.activity.show(Filter())
        self.take_focus()

    def _try_task(self) -> None:
        self._services.commands.run("chat.new")

    def _done(self, sentence: str) -> None:
        self._tell(sentence, icon="circle-check")

    def _menu(self, key: str, place: QPoint) -> None:
        found = self.activity.row(key)
        if found is None:
            return
        menu = QMenu(self)
        menu.setObjectName("activity.menu")
        menu.addAction(icon("copy"), "Copy id", lambda: QGuiApplication.clipboard().setText(found.id))
        detail = self.details.detail
        if detail is not None and detail.row.key == key:
            if detail.can_retry:
                menu.addAction(icon("rotate-ccw"), "Try again", self.details.retry)
            if detail.can_cancel:
                menu.addAction(icon("square"), "Cancel", self.details.cancel)
        if found.run:
            menu.addAction(icon("workflow"), "Only this run", lambda: self._show_run("run", found.run))
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(place)

    # Room and sight

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.activity.set_shown(True)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.activity.set_shown(False)

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        self._place_pending()
        # Figures side by side need room; the list is what matters.
        self.band.setVisible(self.height() >= look().px(520))


class FigureBand(QFrame):
    """Figures beside each other, lines between and below."""

    def __init__(self, figures: tuple[Figure, ...]) -> None:
        super().__init__()
        layout = row(self)
        self._figures = figures
        for figure in figures:
            layout.addWidget(figure, 1)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        ink = look().colour("line.normal")
        painter.fillRect(0, self.height() - 1, self.width(), 1, ink)
        for figure in self._figures[1:]:
            painter.fillRect(figure.x(), 0, 1, self.height(), ink)
        painter.end()


class Empty(EmptyState):
    """Why the list is empty, and what would fill it."""

    def __init__(self, clear: Callable[[], None], start: Callable[[], None]) -> None:
        self.clear_button = button("Clear the filter", "activity.clear", clear, small=True)
        self.start_button = button("Start a chat", "activity.start", start, icon="square-pen", small=True)
        super().__init__("activity.empty", "activity", self.clear_button, self.start_button)

    def show_case(self, problem: str, *, is_filtered: bool) -> None:
        """Say it for this case."""
        if problem:
            title, words = "The list could not be read", problem
        elif is_filtered:
            title, words = "Nothing matches", "No task or request passes this filter."
        else:
            title = "Nothing has run yet"
            words = (
                "Every answer of a model, every task, and why something did not run, will stand here. "
                "Ask something, or run a task with: legion task run log.message.write message:hello"
            )
        self.say(title, words)
        self.clear_button.setVisible(is_filtered and not problem)
        self.start_button.setVisible(not is_filtered and not problem)
