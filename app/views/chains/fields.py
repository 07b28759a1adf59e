"""The arguments of a task as a form made of its schema, and other fields that panels share."""

import json
import re
from collections.abc import Callable, Mapping
from typing import cast

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QLabel, QLineEdit, QWidget

from app.theme.apply import repolish
from app.views.parts import bind, column, label, row
from app.widgets.code_field import CodeField
from app.widgets.switch import Switch

LONG = ("prompt", "text", "message", "body", "system", "template", "content", "stdin", "query")
Schema = Mapping[str, object]
Told = Callable[[str, object], None]  # argument, value (None: not given)


def caption(words: str) -> QLabel:
    """The caption of a section."""
    made = label(words, "caption", "tertiary")
    made.setContentsMargins(0, 2, 0, 0)
    return made


def line_field(name: str, title: str, done: Callable[[str], None], placeholder: str = "") -> QLineEdit:
    """A field of one line; what is in it is told when it is left or Enter is pressed."""
    made = QLineEdit()
    made.setObjectName(name)
    made.setAccessibleName(title)
    made.setToolTip(title)
    made.setPlaceholderText(placeholder)
    made.editingFinished.connect(lambda: done(made.text()))
    return made


def show_error(widget: QWidget, words: str) -> None:
    """A red border with the reason as tooltip; none for an empty text."""
    if bool(widget.property("error")) != bool(words):
        widget.setProperty("error", bool(words))
        repolish(widget)
    if words:
        widget.setToolTip(words)
        widget.setAccessibleDescription(words)
    else:
        widget.setToolTip(widget.accessibleName())
        widget.setAccessibleDescription("")


class ArgumentRow(QWidget):
    """One argument: its name, what it means, and the control its type asks for. A template may stand in any of them."""

    def __init__(self, name: str, schema: Schema, *, required: bool, told: Told) -> None:
        super().__init__()
        self.name = name
        self.kind = kind_of(schema)
        self._told = told
        self._is_quiet = False
        layout = column(self, (0, 2, 0, 6), 3)
        head = row(spacing=6)
        title = label(name, "uiStrong")
        head.addWidget(title)
        if required:
            head.addWidget(label("needed", "caption", "tertiary"))
        head.addStretch(1)
        layout.addLayout(head)
        about = str(schema.get("description", "")).replace("`", "")
        self.control = self._make(schema, f"{name}{', needed' if required else ''}")
        self.control.setObjectName(f"chains.arg.{name}")
        if about:
            self.control.setAccessibleDescription(about)
        layout.addWidget(self.control)
        self.result = label("", "small", "tertiary", wraps=True, selectable=True)
        self.result.hide()
        if about:
            words = label(about[:1].upper() + about[1:], "small", "tertiary", wraps=True)
            layout.insertWidget(1, words)
        layout.addWidget(self.result)

    def _make(self, schema: Schema, title: str) -> QWidget:
        default = schema.get("default")
        hint = "" if default in (None, "") else f"{_shown(default, self.kind)} if left empty"
        if self.kind == "boolean":
            made = Switch(title)
            made.setToolTip(title)
            made.toggled.connect(self._switched)
            return made
        if self.kind == "choice":
            box = QComboBox()
            box.setAccessibleName(title)
            box.setToolTip(title)
            for choice in cast("list[object]", schema["enum"]):
                box.addItem(str(choice), choice)
            box.activated.connect(bind(self._chosen))
            return box
        if self.kind in ("object", "array", "any") or self.name in LONG:
            field = CodeField("", title, least=1 if self.kind == "any" else 2, most=10)
            field.setPlaceholderText(hint)
            field.written.connect(self._typed)
            return field
        line = QLineEdit()
        line.setAccessibleName(title)
        line.setToolTip(title)
        line.setPlaceholderText(hint)
        line.textEdited.connect(bind(self._typed))
        return line

    def show_value(self, value: object, *, is_given: bool, schema: Schema) -> None:
        """Show what is given, or the default."""
        self._is_quiet = True
        shown = value if is_given else schema.get("default") if self.kind in ("boolean", "choice") else None
        control = self.control
        if isinstance(control, Switch):
            control.setChecked(bool(shown))
        elif isinstance(control, QComboBox):
            place = control.findData(shown)
            if place < 0 and is_given:
                control.addItem(str(shown), shown)
                place = control.count() - 1
            control.setCurrentIndex(place)
        else:
            words = _shown(value, self.kind) if is_given else ""
            if isinstance(control, CodeField):
                if self._value(control.toPlainText())[0] != value or not is_given:
                    control.set_words(words)
            elif isinstance(control, QLineEdit) and (self._value(control.text())[0] != value or not is_given):
                control.setText(words)
            show_error(control, "")
        self._is_quiet = False

    def show_result(self, given: object, result: object) -> None:
        """What a template came to for the last real payload; nothing where it is no template."""
        is_template = "{{" in _flat(given) or "{%" in _flat(given)
        self.result.setVisible(is_template and result is not None)
        if is_template:
            words = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)
            self.result.setText(f"= {words[:300]}{'…' if len(words) > 300 else ''}")

    def _typed(self) -> None:
        if self._is_quiet:
            return
        control = self.control
        words = control.toPlainText() if isinstance(control, CodeField) else cast("QLineEdit", control).text()
        value, wrong = self._value(words)
        show_error(control, wrong)
        if not wrong:
            self._told(self.name, value)

    def _switched(self, is_on: bool) -> None:
        self._say(is_on)

    def _chosen(self) -> None:
        if isinstance(self.control, QComboBox):
            self._say(self.control.currentData())

    def _say(self, value: object) -> None:
        if not self._is_quiet:
            self._told(self.name, value)

    def _value(self, words: str) -> tuple[object, str]:
        """What the words mean for the type of this argument, and what is wrong with them; None for nothing."""
        if not words.strip():
            return None, ""
        if self.kind == "string":
            return words, ""
        if "{{" in words and not words.lstrip().startswith(("{\n", '{"', "[")):
            return words, ""
        try:
            value: object = json.loads(words)
        except ValueError:
            if self.kind == "any":
                return words, ""
            wanted = {
                "integer": "a whole number",
                "number": "a number",
                "object": "an object, {…}",
                "array": "a list, […]",
            }
            return None, f"Write {wanted.get(self.kind, self.kind)}, or a template."
        fits = {
            "integer": isinstance(value, int) and not isinstance(value, bool),
            "number": isinstance(value, int | float) and not isinstance(value, bool),
            "object": isinstance(value, dict),
            "array": isinstance(value, list),
        }.get(self.kind, True)
        return (value, "") if fits else (None, f"Write {self.kind}, or a template.")


class ArgumentForm(QWidget):
    """All arguments of a function. `told` gets the whole mapping after each change, and the name that changed."""

    def __init__(self, told: Callable[[Mapping[str, object], str], None]) -> None:
        super().__init__()
        self.setObjectName("chains.args")
        self._told = told
        self._layout = column(self)
        self._schemas: dict[str, Schema] = {}
        self._made_for: object = None
        self.rows: dict[str, ArgumentRow] = {}
        self._args: Mapping[str, object] = {}

    def show_args(self, schema: Schema | None, args: Mapping[str, object]) -> None:
        """Show a function's arguments; what is given and not known is shown too."""
        properties = cast("Mapping[str, Schema]", (schema or {}).get("properties") or {})
        required = cast("list[str]", (schema or {}).get("required") or [])
        extra = [name for name in args if name not in properties]
        made_for = (json.dumps(properties, sort_keys=True, default=str), tuple(required), tuple(extra))
        self._args = args
        if made_for != self._made_for:
            self._made_for = made_for
            self._rebuild(properties, required, extra)
        for name, made in self.rows.items():
            made.show_value(args.get(name), is_given=name in args, schema=self._schemas[name])

    def _rebuild(self, properties: Mapping[str, Schema], required: list[str], extra: list[str]) -> None:
        for made in self.rows.values():
            self._layout.removeWidget(made)
            made.hide()
            made.deleteLater()
        self.rows.clear()
        self._schemas = {**properties, **{name: {} for name in extra}}
        ordered = sorted(self._schemas, key=lambda name: name not in required)
        for name in ordered:
            made = ArgumentRow(name, self._schemas[name], required=name in required, told=self._changed)
            self.rows[name] = made
            self._layout.addWidget(made)

    def _changed(self, name: str, value: object) -> None:
        args = {key: old for key, old in self._args.items() if key != name or value is not None}
        if value is not None:
            args[name] = value
        self._args = args
        self._told(args, name)

    def show_results(self, rendered: Mapping[str, object] | None) -> None:
        """What the templates came to."""
        for name, made in self.rows.items():
            made.show_result(self._args.get(name), (rendered or {}).get(name))


def kind_of(schema: Schema) -> str:
    """The control an argument asks for: string, integer, number, boolean, choice, object, array or any."""
    if "enum" in schema:
        return "choice"
    kind = schema.get("type")
    if isinstance(kind, list):
        kinds = [each for each in cast("list[object]", kind) if each != "null"]
        kind = kinds[0] if len(kinds) == 1 else "any"
    if kind is None and "anyOf" in schema:
        options = cast("list[Schema]", schema["anyOf"])
        real = [option for option in options if option.get("type") != "null"]
        return kind_of(real[0]) if len(real) == 1 else "any"
    return kind if isinstance(kind, str) and kind != "null" else "any"


def _shown(value: object, kind: str) -> str:
    if isinstance(value, str) and (kind in ("string", "any", "choice") or "{{" in value):
        return value
    if isinstance(value, dict | list) and value:
        return json.dumps(value, ensure_ascii=False, indent=1)
    return json.dumps(value, ensure_ascii=False)


def _flat(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str) if value is not None else ""


def well(name: str, title: str) -> CodeField:
    """A place for JSON that is read, not written."""
    made = CodeField(name, title, least=1, most=9)
    made.setReadOnly(True)
    made.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
    )
    return made


def breakable(words: str) -> str:
    """Long paths and names may go on in the next line instead of widening the panel."""
    return re.sub(r"(?<=[/._,=&?-])(?=[^\s/])", "\u200b", words)


def as_json(value: object, most: int = 20_000) -> str:
    """A value to be read, cut where it is very long."""
    words = json.dumps(value, ensure_ascii=False, indent=1, default=str)
    return words if len(words) <= most else f"{words[:most]}\n… {len(words) - most:,} more characters"
