"""The arguments of what a schedule runs: one field for each, made from the function's schema."""

from collections.abc import Callable, Mapping, Sequence

from PySide6.QtWidgets import QCheckBox, QLineEdit, QWidget

from app.theme.apply import repolish
from app.viewmodels.schedule_draft import Argument, typed_of
from app.views.parts import column, label
from app.views.schedules.choice import Choice

KIND_WORDS = {"integer": "a whole number", "number": "a number", "json": "text or JSON", "text": "text"}


class ArgsForm(QWidget):
    """Holds text by name; `changed` is called when a person changed one."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__()
        self.setObjectName("schedules.args")
        self._changed = changed
        self._layout = column(self, spacing=4)
        self._arguments: tuple[Argument, ...] = ()
        self._fields: dict[str, QWidget] = {}

    def show_arguments(
        self, arguments: Sequence[Argument], typed: Mapping[str, str], *, takes_input: bool = False
    ) -> None:
        """Show fields for these, filled with what was typed; with `takes_input` what has no field too."""
        known = {argument.name for argument in arguments}
        extra = (
            tuple(Argument(name, "json") for name in typed if name not in known)
            if takes_input or typed
            else ()
        )
        wanted = (*arguments, *extra)
        if wanted != self._arguments:
            self._build(wanted)
        for name, field in self._fields.items():
            _set(field, typed.get(name, ""))

    @property
    def typed(self) -> dict[str, str]:
        """What stands in the fields, by name; those left empty are left out."""
        found = {name: _get(field) for name, field in self._fields.items()}
        return {name: text for name, text in found.items() if text}

    def say_fault(self, sentence: str) -> None:
        """Mark the field a sentence is about."""
        for name, field in self._fields.items():
            is_wrong = bool(sentence) and sentence.startswith((f"{name} ", f"`{name}`"))
            if bool(field.property("error")) != is_wrong:
                field.setProperty("error", is_wrong)
                repolish(field)

    def _build(self, arguments: tuple[Argument, ...]) -> None:
        while (item := self._layout.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.hide()
                old.deleteLater()
        self._arguments = arguments
        self._fields = {}
        for argument in arguments:
            field = self._field(argument)
            self._fields[argument.name] = field
            caption = label(
                f"{argument.name}{' (needed)' if argument.is_required else ''}", "small", "secondary"
            )
            caption.setBuddy(field)
            if not isinstance(field, QCheckBox):
                self._layout.addWidget(caption)
            self._layout.addWidget(field)
            self._layout.addSpacing(4)

    def _field(self, argument: Argument) -> QWidget:
        name = f"schedules.arg.{argument.name}"
        about = argument.about or KIND_WORDS.get(argument.kind, argument.name)
        if argument.kind == "bool":
            box = QCheckBox(argument.name)
            box.setObjectName(name)
            box.setAccessibleName(argument.name)
            box.setToolTip(about)
            box.setTristate(not argument.is_required)
            box.clicked.connect(self._touched)
            return box
        if argument.kind == "choice":
            choice = Choice(name, argument.name, about)
            default = f"Usual: {argument.default}" if argument.default is not None else "Usual"
            first = () if argument.is_required else (("", default),)
            choice.show_choices((*first, *((each, each) for each in argument.choices)))
            choice.activated.connect(self._touched)
            return choice
        line = QLineEdit()
        line.setObjectName(name)
        line.setAccessibleName(argument.name)
        line.setToolTip(about)
        default = argument.default
        usual = typed_of(default) if default not in (None, "", [], {}) else ""
        line.setPlaceholderText(usual or about)
        line.textEdited.connect(self._touched)
        return line

    def _touched(self, *_: object) -> None:
        self._changed()


def _get(field: QWidget) -> str:
    if isinstance(field, QCheckBox):
        state = field.checkState().value
        return "" if state == 1 else "true" if state == 2 else "false"
    if isinstance(field, Choice):
        return field.key
    assert isinstance(field, QLineEdit)
    return field.text()


def _set(field: QWidget, text: str) -> None:
    if isinstance(field, QCheckBox):
        field.blockSignals(True)
        if text:
            field.setChecked(text == "true")
        elif field.isTristate():
            from PySide6.QtCore import Qt

            field.setCheckState(Qt.CheckState.PartiallyChecked)
        else:
            field.setChecked(False)
        field.blockSignals(False)
    elif isinstance(field, Choice):
        field.choose(text)
    elif isinstance(field, QLineEdit) and field.text() != text:
        field.setText(text)
