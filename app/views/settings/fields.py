# ruff: noqa: D102  (Qt overrides do what Qt says)
"""One row of the Settings page for each kind of setting: words left, control right, a dot where it was changed."""

from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QAction, QIcon
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QLineEdit,
    QPlainTextEdit,
    QSizePolicy,
    QWidget,
)

from app.viewmodels.settings import SettingsViewModel, is_changed
from app.views.parts import TextArea, bind, fill, label, row
from app.views.settings.form_row import FormRow
from app.widgets.segmented import Segmented
from app.widgets.switch import Switch

CONTROL, NUMBER = 232, 116
CHOICES_SIDE_BY_SIDE = 3
PULSE_MS = 700
CHOICE_WORDS = {
    "system": "System", "contrast": "High contrast", "highContrast": "High contrast", "lite": "Lite", "full": "Full",
}  # fmt: skip


def choice_words(choice: str) -> str:
    """A choice as a person reads it."""
    return CHOICE_WORDS.get(choice, choice.replace("_", " ").capitalize())


class FieldRow(FormRow):
    """A setting. Changes go to the view-model at once; what comes back is shown."""

    def __init__(self, settings: SettingsViewModel, key: str) -> None:
        self.key = key
        self._settings = settings
        found = settings.row(key)
        assert found is not None
        self._type = found.type
        made = self._make_control(found)
        made.setAccessibleName(found.title)
        if not made.toolTip():
            made.setToolTip(found.description)
        super().__init__(f"setting.{key}", found.title, _notes(found), made)
        if isinstance(made, QPlainTextEdit):
            made.installEventFilter(self)
        self.reset_requested.connect(lambda: settings.reset(key))
        if found.from_environment:
            made.setEnabled(False)
            made.setToolTip(f"Set by {found.from_environment}, which stands above the file")
        self.show_value()

    # What it shows

    def show_value(self) -> None:
        """The value, the error and the dot as they are now."""
        found = self._settings.row(self.key)
        if found is None:
            return
        self._put(found.value)
        self.set_fault(self._settings.errors.get(self.key, ""))
        self.set_changed(is_changed(found))

    def pulse(self, *, animated: bool = True) -> None:
        """Glow once, so that the eye finds it."""
        self.light(animated=False)
        if animated:
            # It stands a moment before it fades: 200 ms alone are gone before the eye has arrived.
            QTimer.singleShot(PULSE_MS, self, lambda: self.light())
        else:
            QTimer.singleShot(3 * PULSE_MS, self, self.darken)

    # Controls by type

    def _make_control(self, found: Any) -> QWidget:
        name = f"setting.{self.key}.control"
        match found.type:
            case "bool":
                made: QWidget = Switch(found.title)
                made.toggled.connect(self._set)
            case "choice" if len(found.choices) <= CHOICES_SIDE_BY_SIDE:
                made = Segmented([(choice, choice_words(choice)) for choice in found.choices], found.title)
                made.changed.connect(self._set)
            case "choice":
                made = QComboBox()
                for choice in found.choices:
                    made.addItem(choice_words(choice), choice)
                made.setMinimumWidth(CONTROL)
                made.activated.connect(bind(self._set_current, made))
            case "list":
                made = TextArea(CONTROL, 76)
                made.setToolTip("One entry a line")
            case "str" if (found.maximum or 0) > 1000 or found.key.endswith("prompt"):
                made = TextArea(CONTROL, 76)
            case _:
                made = self._make_field(found)
        made.setObjectName(name)
        return made

    def _make_field(self, found: Any) -> QWidget:
        field = QLineEdit()
        is_number = found.type in ("int", "float")
        field.setFixedWidth(NUMBER if is_number else CONTROL)
        field.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        field.editingFinished.connect(lambda: self._set_words(field.text()))
        if is_number and found.unit:
            suffix = label(found.unit, "", "tertiary")
            inner = row(field, (0, 0, 8, 0))
            fill(inner, None, suffix)
            suffix.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            field.setTextMargins(0, 0, suffix.sizeHint().width() + 6, 0)
        if found.type == "path":
            field.setToolTip("A folder or file")
            browse = QAction(_folder_icon(), "Browse…", field)
            field.addAction(browse, QLineEdit.ActionPosition.TrailingPosition)
            browse.triggered.connect(bind(self._browse, field))
        if found.type == "secret":
            field.setPlaceholderText("keyring://NAME or env://NAME")
        return field

    def _browse(self, field: QLineEdit) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Choose a folder", field.text())
        if folder:
            field.setText(folder)
            self._set(folder)

    def _put(self, value: Any) -> None:
        control = self.control
        if isinstance(control, Switch):
            control.blockSignals(True)
            control.setChecked(bool(value))
            control.blockSignals(False)
            control.update()
        elif isinstance(control, Segmented):
            control.choose(str(value))
        elif isinstance(control, QComboBox):
            control.setCurrentIndex(max(0, control.findData(value)))
        elif isinstance(control, QPlainTextEdit):
            words = "\n".join(value) if self._type == "list" else str(value or "")
            if control.toPlainText() != words and not control.hasFocus():
                control.setPlainText(words)
        elif isinstance(control, QLineEdit) and not self._settings.errors.get(self.key):
            words = f"{value:g}" if isinstance(value, float) else "" if value is None else str(value)
            if control.text() != words:
                control.setText(words)

    def _set(self, value: Any) -> None:
        self._settings.set(self.key, value)

    def _set_current(self, box: QComboBox) -> None:
        self._set(box.currentData())

    def _set_words(self, words: str) -> None:
        found = self._settings.row(self.key)
        if found is None:
            return
        text = words.strip()
        if self._type in ("int", "float"):
            try:
                value: Any = (
                    int(text.replace(",", "")) if self._type == "int" else float(text.replace(",", "."))
                )
            except ValueError:
                kind = "a whole number" if self._type == "int" else "a number"
                self._settings.errors[self.key] = f"Enter {kind}."
                self.set_fault(f"Enter {kind}.")
                return
            self._settings.set(self.key, value)
        else:
            self._settings.set(self.key, text)

    def eventFilter(self, watched: Any, event: Any) -> bool:
        if event.type() == event.Type.FocusOut and isinstance(watched, QPlainTextEdit):
            words = watched.toPlainText()
            if self._type == "list":
                self._set(tuple(part.strip() for part in words.splitlines() if part.strip()))
            else:
                self._set(words.strip())
        return super().eventFilter(watched, event)


def _notes(found: Any) -> str:
    notes = [found.description.replace("`", "")]  # plain text: the marks of code would only be read aloud
    if found.from_environment:
        notes.append(f"Set by {found.from_environment}, which stands above the file.")
    if found.needs_restart:
        notes.append("In force after the next start.")
    return " ".join(notes)


def _folder_icon() -> QIcon:
    from app.theme.icons import icon

    return icon("folder", "text.tertiary", 14)
