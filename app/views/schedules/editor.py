"""The form of a schedule: what it runs and when, with what that timing would do shown while it is typed."""

from collections.abc import Callable
from dataclasses import replace
from typing import cast

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QDoubleSpinBox, QLabel, QLineEdit, QSpinBox, QWidget

from app.theme.apply import look, repolish
from app.viewmodels.schedule_draft import MISSED, OVERLAP, UNITS, Draft, How, Missed, Overlap, draft_of
from app.viewmodels.schedule_phrase import EXAMPLES
from app.viewmodels.schedule_words import capital, timing_words
from app.viewmodels.schedules import SchedulesViewModel
from app.views.parts import column, fill, frame, label, row, taking
from app.views.schedules.args_form import ArgsForm
from app.views.schedules.choice import Choice
from app.widgets.segmented import Segmented

HOWS = (("cron", "Cron"), ("every", "Every"), ("words", "In words"))


class ScheduleForm(QObject):
    """Edits a draft in three parts that its owner lays out: `what`, `when` and `finer`.

    `draft` is what stands in the fields; `changed` is called at each change by a person.
    """

    rebuilt = Signal()
    """There are other fields for the arguments."""

    def __init__(self, schedules: SchedulesViewModel, changed: Callable[[], None], parent: QObject) -> None:
        super().__init__(parent)
        self._schedules = schedules
        self._changed = changed
        self._draft = Draft()
        self._make_what()
        self._make_when()
        self._make_finer()
        schedules.choices_changed.connect(self._show_choices)
        schedules.preview_changed.connect(self._show_preview)
        look().theme_changed.connect(self._restyle)
        self._restyle()
        self._show_choices()

    # Making

    def _make_what(self) -> None:
        self.what = frame("scrolled")
        layout = column(self.what, (12, 0, 12, 12), 4)
        self.name = _line("schedules.name", "Name", "What it is called: letters, digits, dots and dashes")
        self.name.setPlaceholderText("nightly-backup")
        self.name.textEdited.connect(self._touched)
        self.name_caption = _caption("Name")
        self.target = Choice(
            "schedules.target", "What it runs", "A task or a chain; type to find one", typed=True
        )
        self.target.say_hint("Choose a task or a chain")
        self.target.picked.connect(taking(str, self._pick_target))
        self.about = label("", "small", "tertiary", wraps=True)
        self.args = ArgsForm(self._touched)
        fill(layout, self.name_caption, self.name, _caption("Runs"), self.target, self.about, 4, self.args)

    def _make_when(self) -> None:
        self.when = frame("scrolled")
        layout = column(self.when, (12, 0, 12, 12), 4)
        self.how = Segmented(HOWS, "When", small=True)
        self.how.setObjectName("schedules.how")
        self.how.setSizePolicy(self.target.sizePolicy())
        self.how.changed.connect(self._touched)
        self.cron = _line(
            "schedules.cron", "Cron expression", "Minute, hour, day of month, month, day of week"
        )
        self.cron.textEdited.connect(self._touched)
        self.words = _line("schedules.words", "When, in words", f"Such as: {'; '.join(EXAMPLES[:3])}")
        self.words.setPlaceholderText(EXAMPLES[0])
        self.words.textEdited.connect(self._touched)
        self.every_row = QWidget()
        every = row(self.every_row, spacing=6)
        self.every = QDoubleSpinBox()
        self.every.setObjectName("schedules.every")
        self.every.setAccessibleName("Every so many")
        self.every.setToolTip("How long from one run to the next")
        self.every.setDecimals(0)
        self.every.setRange(1, 100_000)
        self.every.valueChanged.connect(self._touched)
        self.unit = Choice("schedules.unit", "Unit", "Unit of the interval")
        self.unit.show_choices(tuple((unit, unit) for unit in UNITS))
        self.unit.picked.connect(self._touched)
        fill(every, self.every, self.unit)
        self.meaning = label("", "small", "secondary", wraps=True, name="schedules.meaning")
        self.zone_caption = _caption("Time zone")
        self.zone = Choice(
            "schedules.zone", "Time zone", "Whose clock the expression means; type to find one", typed=True
        )
        self.zone.picked.connect(self._touched)
        self.missed = Choice(
            "schedules.missed", "If a run was missed", "What happens to moments that passed while nothing ran"
        )
        self.missed.show_choices(MISSED)
        self.missed.picked.connect(self._touched)
        fill(
            layout, _caption("When"), self.how, 2, self.cron, self.every_row, self.words, self.meaning, self.zone_caption,
            self.zone, _caption("If a run was missed"), self.missed,
        )  # fmt: skip

    def _make_finer(self) -> None:
        self.finer = frame("scrolled")
        layout = column(self.finer, (12, 0, 12, 12), 4)
        self.overlap = Choice(
            "schedules.overlap",
            "If the one before still runs",
            "What happens when a run is due while another goes on",
        )
        self.overlap.show_choices(OVERLAP)
        self.overlap.picked.connect(self._touched)
        self.jitter = QSpinBox()
        self.jitter.setObjectName("schedules.jitter")
        self.jitter.setAccessibleName("Begin up to so many seconds late, by chance")
        self.jitter.setToolTip(
            "Begin up to so many seconds late, by chance, so that not everything starts at once"
        )
        self.jitter.setRange(0, 86_400)
        self.jitter.setSuffix(" s")
        self.jitter.setSpecialValueText("On the dot")
        self.jitter.valueChanged.connect(self._touched)
        for part in (self.every, self.jitter):
            line_ = part.lineEdit()
            assert line_ is not None
            line_.setTextMargins(6, 0, 0, 0)
        fill(
            layout,
            _caption("If the one before still runs"),
            self.overlap,
            _caption("Begin later by chance"),
            self.jitter,
        )

    # What stands in it

    @property
    def draft(self) -> Draft:
        """The fields as they are."""
        return replace(
            self._draft,
            name=self.name.text(),
            target=self.target.key,
            how=cast("How", self.how.choice),
            cron=self.cron.text(),
            every=self.every.value(),
            unit=self.unit.key or "minutes",
            words=self.words.text(),
            zone=self.zone.key or "UTC",
            missed=cast("Missed", self.missed.key),
            overlap=cast("Overlap", self.overlap.key),
            jitter_s=float(self.jitter.value()),
            args=self.args.typed,
        )

    def show_draft(self, draft: Draft) -> None:
        """Fill the fields."""
        self._draft = draft
        for part in (self.every, self.jitter):
            part.blockSignals(True)
        _set(self.name, draft.name)
        self.target.choose(draft.target)
        self.how.choose(draft.how)
        _set(self.cron, draft.cron)
        self.every.setValue(draft.every)
        self.unit.choose(draft.unit)
        _set(self.words, draft.words)
        self.zone.choose(draft.zone)
        self.missed.choose(draft.missed)
        self.overlap.choose(draft.overlap)
        self.jitter.setValue(round(draft.jitter_s))
        for part in (self.every, self.jitter):
            part.blockSignals(False)
        self._show_target(draft)
        self._show_how()
        self.ask_preview()

    def ask_preview(self) -> None:
        """Have the timing reckoned."""
        cron, every_s = self.draft.timing
        self._schedules.ask_preview(cron, self.zone.key or "UTC", every_s)

    def say_fault(self, sentence: str) -> None:
        """Mark the field a refusal is about."""
        self.args.say_fault(sentence)
        said = sentence.lower()
        faults = ((self.name, "already" in said or "the name" in said), (self.cron, "cron" in said))
        for field, is_wrong in faults:
            if bool(field.property("error")) != is_wrong:
                field.setProperty("error", is_wrong)
                repolish(field)

    def _show_choices(self) -> None:
        schedules = self._schedules
        held = (self.target.key, self.zone.key)
        self.target.show_choices(
            tuple((target.name, target.name.removeprefix("chain:")) for target in schedules.targets)
        )
        self.zone.show_choices(tuple((zone, zone.replace("_", " ")) for zone in schedules.zones))
        self.target.choose(held[0])
        self.zone.choose(held[1] or schedules.zone)
        row_ = schedules.current
        if row_ is not None and self._draft.name == row_.name:
            target = schedules.target(row_.target)
            self._draft = replace(self._draft, args=draft_of(row_, target.arguments if target else ()).args)
        self._show_target(self._draft)

    def _pick_target(self, name: str) -> None:
        self._draft = replace(self.draft, target=name, args={})
        self._show_target(self._draft)
        self._touched()

    def _show_target(self, draft: Draft) -> None:
        target = self._schedules.target(draft.target)
        self.about.setText(target.about.split("\n\n")[0] if target else "")
        self.about.setVisible(bool(target and target.about))
        is_chain = draft.target.startswith("chain:")
        self.args.show_arguments(target.arguments if target else (), draft.args, takes_input=is_chain)
        self.rebuilt.emit()

    def _show_how(self) -> None:
        how = self.how.choice
        self.cron.setVisible(how == "cron")
        self.every_row.setVisible(how == "every")
        self.words.setVisible(how == "words")
        for part in (self.zone, self.zone_caption):
            part.setVisible(how != "every")

    def _show_preview(self) -> None:
        draft, preview = self.draft, self._schedules.preview
        is_fault = bool(preview.fault)
        words = preview.fault or capital(timing_words(preview.words, draft.zone))
        if draft.how == "words" and draft.words.strip() and draft.timing == ("", 0.0):
            words, is_fault = f"Not understood. Try: {'; '.join(EXAMPLES[1:4])}.", True
        elif draft.how == "words" and draft.timing[0]:
            words = f"{words}, which is {draft.timing[0]}" if not is_fault else words
        self.meaning.setText(words)
        self.meaning.setVisible(bool(words))
        if self.meaning.property("tone") != ("error" if is_fault else "secondary"):
            self.meaning.setProperty("tone", "error" if is_fault else "secondary")
            repolish(self.meaning)

    def _touched(self, *_: object) -> None:
        self._show_how()
        self.ask_preview()
        self._changed()

    def _restyle(self) -> None:
        self.cron.setFont(look().font("code"))


def _line(name: str, title: str, tip: str) -> QLineEdit:
    made = QLineEdit()
    made.setObjectName(name)
    made.setAccessibleName(title)
    made.setToolTip(tip)
    return made


def _caption(words: str) -> QLabel:
    made = label(words, "caption", "secondary")
    made.setContentsMargins(0, 10, 0, 0)
    return made


def _set(field: QLineEdit, words: str) -> None:
    if field.text() != words:
        field.setText(words)
