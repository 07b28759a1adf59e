"""The inspector of a node: its name, its task with arguments, the transform, how it waits, retries and ends."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from PySide6.QtWidgets import QComboBox, QWidget

from app.theme.icons import set_icon
from app.viewmodels.chain_draft import Fields, NodeDraft, changed
from app.viewmodels.chain_editor import ChainEditor
from app.views.chains.fields import ArgumentForm, breakable, caption, line_field, show_error
from app.views.chains.looks import task_icon
from app.views.chains.run_panel import RunSection
from app.views.chains.transform import TransformEditor
from app.views.parts import MenuButton, bind, column, fill, label, line, row

PADDING = (12, 10, 12, 12)


def section(*items: Any, spacing: int = 6) -> QWidget:
    """A part of an inspector with its own air."""
    made = QWidget()
    fill(column(made, PADDING, spacing), *items)
    return made


class NodePanel(QWidget):
    """Follows the chosen node. `pick_task` opens the search for another task."""

    def __init__(self, editor: ChainEditor, pick_task: Callable[[], None]) -> None:
        super().__init__()
        self.setObjectName("chains.node")
        self._editor = editor
        self._shown = ""
        layout = column(self)
        self.name = line_field("chains.node.name", "Name of the node", self._rename)
        self.task = MenuButton("Choose a task", "chains.node.task", "wrench", "Another task")
        self.task.setAccessibleName("Task")
        self.task.clicked.connect(bind(pick_task))
        self.about = label("", "small", "tertiary", wraps=True)
        self.faults = label("", "small", "error", wraps=True, selectable=True, name="chains.node.faults")
        task_row = row()
        fill(task_row, self.task, None)
        fill(
            layout,
            section(caption("Name"), self.name, caption("Task"), task_row, self.about, self.faults),
            line(),
        )
        self.run = RunSection(editor)
        self.run_rule = line()
        fill(layout, self.run, self.run_rule)
        self.form = ArgumentForm(self._set_args)
        self.no_args = label("It takes no arguments.", "small", "tertiary")
        fill(layout, section(caption("Arguments"), self.no_args, self.form), line())
        self.transform = TransformEditor(self._set_transform)
        fill(layout, section(caption("Transform"), self.transform), line())
        fill(layout, self._make_rest(), None)
        editor.changed.connect(self.refresh)
        editor.selected.connect(self.refresh)
        editor.faults_changed.connect(self._say_faults)
        editor.functions_changed.connect(self.refresh)
        editor.runs.read.connect(self._preview)

    def _make_rest(self) -> QWidget:
        self.join = QComboBox()
        self.join.setObjectName("chains.node.join")
        self.join.setAccessibleName("When several lead here")
        self.join.setToolTip("When several lead here")
        for key, words in (
            ("", "Once for all that come"),
            ("all", "When all are done"),
            ("any", "When any is done"),
            ("number", "When so many are done"),
        ):
            self.join.addItem(words, key)
        self.join.activated.connect(bind(self._set_join))
        self.join_number = line_field(
            "chains.node.joinNumber", "How many must be done", bind(self._set_join), "2"
        )
        self.join_box = QWidget()
        fill(column(self.join_box, spacing=6), caption("When several lead here"), self.join, self.join_number)
        self.retries = line_field("chains.node.retries", "Tries after a failure", bind(self._set_retry), "0")
        self.pause = line_field("chains.node.pause", "First pause in seconds", bind(self._set_retry), "1")
        self.timeout = line_field(
            "chains.node.timeout", "Seconds it may take", bind(self._set_timeout), "as the task says"
        )
        pair = row(spacing=8)
        for words, field in (("Tries after a failure", self.retries), ("First pause, s", self.pause)):
            box = column(spacing=3)
            fill(box, caption(words), field)
            pair.addLayout(box)
        return section(self.join_box, pair, caption("Ends after, s"), self.timeout)

    # What is shown

    def showEvent(self, event: object) -> None:  # Qt's name
        """What was not asked while it was hidden is asked now."""
        super().showEvent(event)  # type: ignore[arg-type]
        self.refresh()
        self._preview()

    def refresh(self) -> None:
        """Show the chosen node again."""
        node = self._editor.node
        if node is None:
            self._shown = ""
            return
        is_other = node.name != self._shown
        self._shown = node.name
        if is_other or not self.name.hasFocus():
            self.name.setText(node.name)
            show_error(self.name, "")
        function = self._editor.functions.get(node.task)
        words = f"chain {node.chain}" if node.chain else node.task or "Choose a task"
        self.task.set_words(words)
        set_icon(self.task, "workflow" if node.chain else task_icon(node.task), "text.secondary", 14)
        unknown = f"No extension has {node.task}." if node.task and self._editor.functions else ""
        about = function.description if function is not None else unknown
        self.about.setText(about)
        self.about.setVisible(bool(about))
        schema = function.arguments if function is not None else None
        self.form.show_args(schema, node.args)
        self.no_args.setVisible(not self.form.rows)
        needed = tuple(cast("list[str]", (schema or {}).get("required") or [])) if schema else ()
        if node.args:
            needed = tuple(name for name in needed if name not in node.args)
        self.transform.show_transform(node.transform, needed)
        self._show_rest(node)
        self._say_faults()
        self._preview()

    def _show_rest(self, node: NodeDraft) -> None:
        parents = sum(edge.target == node.name for edge in self._editor.draft.edges)
        join = node.fields.get("join")
        self.join_box.setVisible(parents > 1 or join is not None)
        is_number = isinstance(join, int) and not isinstance(join, bool)
        self.join.setCurrentIndex(self.join.findData("number" if is_number else join or ""))
        self.join_number.setVisible(is_number)
        _show(self.join_number, join if is_number else None)
        retry = node.fields.get("retry")
        held: Fields = cast("Fields", retry) if isinstance(retry, dict) else dict[str, object]()
        _show(self.retries, held.get("max"))
        _show(self.pause, held.get("delay_s"))
        _show(self.timeout, node.fields.get("timeout_s"))

    def _say_faults(self) -> None:
        node = self._editor.node
        if node is None:
            return
        found = self._editor.faults_of_node(node.name)
        words = "\n".join(
            f"{fault.message[:1].upper()}{fault.message[1:]} {fault.hint}".strip() for fault in found
        )
        self.faults.setText(breakable(words))
        self.faults.setVisible(bool(words))

    def _preview(self) -> None:
        """Ask what arguments and transform come to on the last real payload."""
        node = self._editor.node
        if node is None or not self.isVisible():
            return
        if not node.args and node.transform is None:
            self.form.show_results(None)
            self.transform.show_result(None, "", "")
            return
        name = node.name

        def rendered(found: Any) -> None:
            if self._shown != name:
                return
            args = found.args
            reason = found.reason.sentence if found.reason is not None else ""
            self.form.show_results(cast("Mapping[str, object]", args) if isinstance(args, dict) else None)
            if node.transform is not None:
                self.transform.show_result(cast("object", args), reason, found.ask)
            else:
                self.transform.show_result(None, "", "")

        def failed(sentence: str) -> None:
            if self._shown == name and node.transform is not None:
                self.transform.show_result(None, sentence, "")

        def paid(payload: object) -> None:
            if payload is not None and self._shown == name:
                self._editor.previews.render(node, payload, rendered, failed)
            elif self._shown == name:
                self.form.show_results(None)
                self.transform.show_result(None, "", "")
                if node.transform is not None:
                    self.transform.say("Run the chain once to see what this gives.", "tertiary")

        self._editor.runs.ask_input_of(name, paid)

    # What a person does

    def _rename(self, words: str) -> None:
        node = self._editor.node
        if node is not None and words.strip() != node.name:
            show_error(self.name, self._editor.rename_node(node.name, words.strip()))

    def _set(self, key: str, value: object, what: str, merge: str = "") -> None:
        node = self._editor.node
        if node is not None:
            self._editor.set_node(node.name, changed(node.fields, key, value), what, merge)

    def _set_args(self, args: Mapping[str, object], name: str) -> None:
        self._set("args", dict(args) or None, name, f"args.{self._shown}.{name}")

    def _set_transform(self, transform: Fields | None, what: str) -> None:
        merge = f"{what}.{self._shown}" if what == "transform.text" else ""
        self._set("transform", transform, "the transform", merge)

    def _set_join(self) -> None:
        node = self._editor.node
        if node is None:
            return
        wish = self.join.currentData()
        value: object = wish or None
        if wish == "number":
            words = self.join_number.text().strip() or "2"
            value = int(words) if words.isdigit() and int(words) > 0 else 2
        if value != node.fields.get("join"):
            self._set("join", value, "when it runs")

    def _set_retry(self) -> None:
        node = self._editor.node
        if node is None:
            return
        before = node.fields.get("retry")
        held: Fields = cast("Fields", before) if isinstance(before, dict) else {}
        tries, wrong = _number(self.retries.text(), whole=True)
        pause, wrong_pause = _number(self.pause.text())
        show_error(self.retries, wrong)
        show_error(self.pause, wrong_pause)
        if wrong or wrong_pause:
            return
        made = changed(changed(held, "max", tries), "delay_s", pause)
        if (dict(made) or None) != before:
            self._set("retry", dict(made) or None, "the retries")

    def _set_timeout(self) -> None:
        node = self._editor.node
        value, wrong = _number(self.timeout.text())
        show_error(self.timeout, wrong)
        if node is not None and not wrong and value != node.fields.get("timeout_s"):
            self._set("timeout_s", value, "the deadline")


def _show(field: Any, value: object) -> None:
    if not field.hasFocus():
        field.setText("" if value is None else f"{value:g}" if isinstance(value, float) else str(value))
        show_error(field, "")


def _number(words: str, *, whole: bool = False) -> tuple[object, str]:
    text = words.strip().replace(",", ".")
    if not text:
        return None, ""
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        return None, "Write a whole number." if whole else "Write a number of seconds."
    if value < 0:
        return None, "It cannot be less than nothing."
    return (int(value) if not whole and value == int(value) else value), ""
