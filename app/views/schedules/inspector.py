"""The inspector of the Schedules page: one schedule's form, its coming moments, its last runs."""

from collections.abc import Callable
from datetime import UTC

from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QMenu, QWidget

from app.theme.icons import icon
from app.viewmodels import wording
from app.viewmodels.schedule_draft import Draft, draft_of, renamed
from app.viewmodels.schedule_words import fire_words, moment_words, run_pill
from app.viewmodels.schedules import RUNS_SHOWN, SchedulesViewModel
from app.views.painted import KeyValues
from app.views.parts import (
    ElidedLabel,
    Head,
    button,
    column,
    fill,
    frame,
    icon_button,
    label,
    line,
    row,
    taking,
)  # fmt: skip
from app.views.schedules.editor import ScheduleForm
from app.views.schedules.painted import ClockNote, NextTimes, RunBars
from app.views.scrolled import Scrolled
from app.widgets.switch import Switch


class ScheduleInspector(QWidget):
    """Follows the selection, or holds a new schedule until it is saved or given up."""

    def __init__(
        self,
        schedules: SchedulesViewModel,
        remove: Callable[[str], None],
        show_history: Callable[[], None],
        close: Callable[[], None],
    ) -> None:
        super().__init__()
        self.setObjectName("schedules.inspector")
        self.setAccessibleName("Schedule")
        self._schedules = schedules
        self._remove = remove
        self._show_history = show_history
        self._held = Draft()
        self.is_new = False
        self._order: list[QWidget] = []
        outer = column(self)
        head = Head(left=12, right=8, spacing=4)
        self.title = ElidedLabel("", "section", name="schedules.title")
        self.switch = Switch("On")
        self.switch.setObjectName("schedules.switch")
        self.switch.setToolTip("On or paused")
        self.switch.toggled.connect(self._switched)
        self.more = icon_button("ellipsis", "schedules.more", "More", self._open_menu, small=True)
        head.add(
            self.title, None, self.switch, self.more,
            icon_button("x", "schedules.closeInspector", "Close the inspector", close, small=True, keys="Ctrl I"),
        )  # fmt: skip
        outer.addWidget(head)
        self.empty = label("Choose a schedule, or make a new one.", "small", "tertiary", wraps=True)
        self.empty.setContentsMargins(12, 12, 12, 12)
        outer.addWidget(self.empty)
        self.body = Scrolled(
            self._make_body(), "schedules.details", "Details of the schedule", is_focusable=True
        )
        outer.addWidget(self.body, 1)
        outer.addWidget(self._make_foot())
        outer.addStretch()
        schedules.selected_changed.connect(self.show_selected)
        schedules.history_changed.connect(self._show_runs)
        schedules.preview_changed.connect(self._show_preview)
        schedules.saved.connect(taking(str, self._saved))
        schedules.save_failed.connect(taking(str, self._save_failed))
        self.show_selected()

    def _make_body(self) -> QWidget:
        body = frame("scrolled")
        self._layout = column(body)
        self.problem = label("", "small", "error", wraps=True)
        self.problem.setContentsMargins(12, 10, 12, 0)
        self.form = ScheduleForm(self._schedules, self._touched, self)
        self.form.rebuilt.connect(self._order_tabs)
        self._coming, self._ran = self._make_coming(), self._make_ran()
        self._rules = [line() for _ in range(3)]
        return body

    def _make_coming(self) -> QWidget:
        coming = QWidget()
        caption = row(margins=(12, 12, 12, 4))
        self.next_caption = label("Next 10 times", "caption", "tertiary")
        fill(caption, self.next_caption, None, label("UTC", "caption", "tertiary"))
        self.next = NextTimes()
        self.note = ClockNote()
        fill(column(coming), caption, self.next, 8, self.note)
        return coming

    def _make_ran(self) -> QWidget:
        ran = QWidget()
        self.runs_caption = label(f"Last {RUNS_SHOWN} runs", "caption", "tertiary")
        self.runs_caption.setContentsMargins(12, 12, 12, 4)
        self.runs = RunBars()
        self.runs.chosen.connect(self._run_chosen)
        self.figures = KeyValues("schedules.figures")
        self.run_button = button(
            "Run now",
            "schedules.runNow",
            self._run_now,
            icon="play",
            small=True,
            tip="One run more, outside its timing",
        )
        self.history_button = button(
            "History", "schedules.history", self._show_history, icon="history", small=True
        )
        buttons = row(margins=(12, 4, 12, 12), spacing=6)
        fill(buttons, self.run_button, self.history_button, None)
        fill(column(ran), self.runs_caption, self.runs, self.figures, buttons)
        return ran

    def _make_foot(self) -> QWidget:
        self.foot = frame("side", "schedules.foot")
        layout = column(self.foot)
        layout.addWidget(line("lineNormal"))
        self.fault = label("", "small", "error", wraps=True, name="schedules.fault")
        self.save_button = button("Save", "schedules.save", self.save, kind="primary")
        self.discard_button = button("Discard", "schedules.discard", self.discard, kind="ghost")
        buttons = row(spacing=6)
        fill(buttons, self.save_button, self.discard_button, None)
        inner = column(margins=(12, 8, 12, 10), spacing=6)
        fill(inner, self.fault, buttons)
        layout.addLayout(inner)
        return self.foot

    # What is shown

    def show_selected(self) -> None:
        """Show the selected schedule; a form that is being written is left alone."""
        if self.is_new:
            return
        row_ = self._schedules.current
        self.empty.setVisible(row_ is None)
        self.body.setVisible(row_ is not None)
        for part in (self.switch, self.more):
            part.setVisible(row_ is not None)
        if row_ is None:
            self.title.set_words("Schedule")
            self.foot.hide()
            return
        self.title.set_words(row_.name)
        self.switch.blockSignals(True)
        self.switch.setChecked(row_.state == "active")
        self.switch.blockSignals(False)
        self.switch.setAccessibleName(f"{row_.name}: {'on' if row_.state == 'active' else 'paused'}")
        self.problem.setText(row_.problem)
        self.problem.setVisible(bool(row_.problem))
        target = self._schedules.target(row_.target)
        draft = draft_of(row_, target.arguments if target else ())
        if draft.name != self._held.name or not self.is_dirty:
            self._held = draft
            self.form.show_draft(draft)
            # As the fields give it back: then only what a person changes is a change.
            self._held = self.form.draft
        self._arrange()
        self._show_runs()
        self._touched()

    def begin(self, draft: Draft | None = None) -> None:
        """A new schedule."""
        self.is_new = True
        self._held = draft or Draft(zone=self._schedules.zone)
        self.title.set_words("New schedule")
        self.empty.hide()
        self.body.show()
        self.switch.hide()
        self.more.hide()
        self.problem.hide()
        self.form.show_draft(self._held)
        self._arrange()
        self._touched()
        self.body.verticalScrollBar().setValue(0)
        self.form.name.setFocus(Qt.FocusReason.TabFocusReason)

    @property
    def is_dirty(self) -> bool:
        """Whether a person changed something that is not saved."""
        return self.is_new or self.form.draft != self._held

    def _arrange(self) -> None:
        form, rules = self.form, self._rules
        # A new schedule is asked first what it runs; one there is shows first when.
        order: list[QWidget] = (
            [form.what, rules[0], form.when, self._coming, rules[1], form.finer]
            if self.is_new
            else [
                self.problem,
                form.when,
                rules[0],
                self._coming,
                rules[1],
                self._ran,
                rules[2],
                form.what,
                form.finer,
            ]
        )
        if order != self._order:
            self._order = order
            while self._layout.takeAt(0) is not None:
                pass
            fill(self._layout, *order, None)
            # Shown only where they have a place: a part without one would be a window of its own.
            for part in (self._ran, rules[2], self.problem):
                if part in order:
                    part.setVisible(part is not self.problem or bool(self.problem.text()))
                else:
                    part.hide()
            self._order_tabs()
        self.save_button.setText("Add schedule" if self.is_new else "Save")
        self.save_button.setAccessibleName(self.save_button.text())
        self.discard_button.setText("Cancel" if self.is_new else "Discard")

    def _order_tabs(self) -> None:
        """Tab walks as the eye does, whatever was made first."""
        before: QWidget | None = None
        for part in self._order:
            for field in part.findChildren(QWidget):
                is_stop = field.focusPolicy() & Qt.FocusPolicy.TabFocus and field.focusProxy() is None
                if is_stop and field.window() is self.window():
                    if before is not None:
                        QWidget.setTabOrder(before, field)
                    before = field

    def _touched(self) -> None:
        draft = self.form.draft
        self.foot.setVisible(self.is_new or draft != self._held)
        self.fault.setVisible(bool(self.fault.text()))
        why = draft.fault or ("The timing cannot be used." if self._schedules.preview.fault else "")
        self.save_button.setEnabled(not why)
        self.save_button.setToolTip(why or "Ctrl Enter")
        if self.fault.text():
            self._say("")

    def _show_preview(self) -> None:
        preview = self._schedules.preview
        zone = UTC if self._schedules.is_utc else self._schedules.now().tzinfo
        times = [fire_words(fire, zone) for fire in preview.fires]
        self.next.show_times(times)
        self.next_caption.setText(f"Next {len(times)} times" if len(times) != 1 else "Once more")
        self.note.show_notes(preview.notes)
        why = self.form.draft.fault or preview.fault
        self.save_button.setEnabled(not why)
        self.save_button.setToolTip(why or "Ctrl Enter")

    def _show_runs(self) -> None:
        row_ = self._schedules.current
        if row_ is None or self.is_new:
            return
        now, zone = self._schedules.now(), self._schedules.shown_zone()
        history = self._schedules.history
        shown = tuple(reversed(history[:RUNS_SHOWN]))
        words = [
            f"{moment_words(run.occurrence.at, now, zone)}, {run_pill(run)[0]}, {wording.duration(run.took_s)}"
            for run in shown
        ]
        self.runs.show_runs(shown, words)
        self.runs_caption.setText(
            f"Last {len(shown)} runs" if len(shown) != 1 else "Last run" if shown else "Runs"
        )
        if not shown:
            self.runs_caption.setText("It has not run yet")
        self.runs.setVisible(bool(shown))
        pairs: list[tuple[str, str]] = []
        if history:
            last = history[0].occurrence
            pairs.append(("Last", moment_words(last.at, now, zone)))
            late = (last.decided_at - last.at).total_seconds()
            pairs.append(("Taken up", f"{wording.duration(late)} late" if late >= 1 else "on the dot"))
        if row_.created_at is not None:
            pairs.append(("Made", moment_words(row_.created_at, now, zone)))
        self.figures.show_pairs(tuple(pairs))

    # What a person does

    def save(self) -> None:
        """Keep what stands in the form."""
        if self.save_button.isEnabled():
            row_ = self._schedules.current
            self._schedules.save(self.form.draft, "" if self.is_new or row_ is None else row_.name)

    def discard(self) -> None:
        """Give up what was written."""
        self.is_new = False
        self._held = Draft(name="\n")
        self._say("")
        self.show_selected()

    def _saved(self, name: str) -> None:
        self.is_new = False
        self._held = Draft(name="\n")
        self._say("")

    def _save_failed(self, sentence: str) -> None:
        self._say(sentence)

    def _say(self, sentence: str) -> None:
        self.fault.setText(sentence)
        self.fault.setVisible(bool(sentence))
        self.form.say_fault(sentence)

    def _switched(self, is_on: bool) -> None:
        if (row_ := self._schedules.current) is not None:
            self._schedules.set_active(row_.name, is_on)

    def _run_now(self) -> None:
        if (row_ := self._schedules.current) is not None:
            self._schedules.run_now(row_.name)

    def _run_chosen(self, _place: int) -> None:
        self._show_history()

    def _open_menu(self) -> None:
        row_ = self._schedules.current
        if row_ is None:
            return
        menu = QMenu(self)
        menu.setObjectName("schedules.menu")
        menu.addAction(icon("play"), "Run now", self._run_now)
        menu.addAction(icon("copy"), "Duplicate", self.duplicate)
        menu.addSeparator()
        menu.addAction(icon("trash-2"), "Remove", lambda: self._remove(row_.name))
        menu.aboutToHide.connect(menu.deleteLater)
        menu.popup(self.more.mapToGlobal(QPoint(0, self.more.height() + 2)))

    def duplicate(self) -> None:
        """A new schedule like this one."""
        taken = frozenset(row_.name for row_ in self._schedules.rows)
        self.begin(renamed(self.form.draft, taken))
