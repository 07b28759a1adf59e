"""The inspector of the chain itself: what it is for, what runs are started with, loops, and all that is wrong with it."""

import json
from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton, QWidget

from app.viewmodels.chain_editor import ChainEditor
from app.viewmodels.wording import plural
from app.views.chains.fields import caption, line_field, show_error
from app.views.chains.node_panel import section
from app.views.parts import bind, button, column, fill, label, line
from app.widgets.code_field import CodeField

FAULTS_SHOWN = 20
KEYS = (
    "A adds a node, C connects, E walks the edges. Arrows walk, Alt and arrows move, Enter opens the details. "
    "F fits all, + and − zoom. Ctrl Z takes any act back."
)


class ChainPanel(QWidget):
    """Shown while neither a node nor an edge is chosen."""

    def __init__(
        self,
        editor: ChainEditor,
        set_input: Callable[[object], None],
        go_to: Callable[[str, int | None], None],
    ) -> None:
        super().__init__()
        self.setObjectName("chains.chain")
        self._editor = editor
        self._set_input = set_input
        self._go_to = go_to
        self._is_quiet = False
        layout = column(self)
        self.faults_head = label("", "uiStrong", "error", wraps=True)
        self._faults = QWidget()
        self._faults_layout = column(self._faults, spacing=4)
        self._faults_box = section(self.faults_head, self._faults)
        self._faults_line = line()
        fill(layout, self._faults_box, self._faults_line)
        self.input = CodeField("chains.chain.input", "Input of the next run, as JSON", least=4, most=14)
        self.input.setPlaceholderText("{}")
        self.input.written.connect(bind(self._typed))
        fill(
            layout,
            section(
                caption("Input of the next run"),
                self.input,
                label(
                    "Templates read it as {{ input.name }}, conditions as input.name.",
                    "small",
                    "tertiary",
                    wraps=True,
                ),
            ),
            line(),
        )
        self.about = line_field("chains.chain.about", "What it is for", self._set_about, "What it is for")
        self.loops = line_field(
            "chains.chain.loops", "How often it may lead round again", bind(self._set_loops), "0"
        )
        self.counts = label("", "small", "tertiary")
        fill(
            layout,
            section(
                caption("Description"),
                self.about,
                caption("May lead round again, times"),
                self.loops,
                self.counts,
            ),
            line(),
            section(caption("Keys"), label(KEYS, "small", "tertiary", wraps=True)),
            None,
        )
        editor.changed.connect(self.refresh)
        editor.faults_changed.connect(self._say_faults)
        editor.opened.connect(self._opened)
        self._say_faults()

    def _opened(self) -> None:
        self._is_quiet = True
        value = self._editor.runs.input
        self.input.set_words(json.dumps(value, ensure_ascii=False, indent=1) if value else "")
        show_error(self.input, "")
        self._is_quiet = False
        self.refresh()

    def refresh(self) -> None:
        """Show the chain again."""
        draft = self._editor.draft
        about = draft.head.get("description")
        if not self.about.hasFocus():
            self.about.setText(about if isinstance(about, str) else "")
            self.about.setCursorPosition(0)
        if not self.loops.hasFocus():
            self.loops.setText(str(draft.loops) if draft.loops else "")
        version = f"version {self._editor.version}" if self._editor.version else "not saved yet"
        self.counts.setText(
            f"{plural(len(draft.nodes), 'node')}, {plural(len(draft.edges), 'edge')}, {version}"
        )

    def _say_faults(self) -> None:
        while (item := self._faults_layout.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        found = self._editor.faults if self._editor.draft.nodes else ()
        self._faults_box.setVisible(bool(found))
        self._faults_line.setVisible(bool(found))
        self.faults_head.setText(f"{plural(len(found), 'fault')} to mend before it can run" if found else "")
        for at, fault in enumerate(found[:FAULTS_SHOWN]):
            words = f"{fault.message[:1].upper()}{fault.message[1:]} {fault.hint}".strip()
            self._faults_layout.addWidget(self._fault(at, fault.key, fault.line, words))

    def _fault(self, at: int, key: str, number: int | None, words: str) -> QWidget:
        box = QWidget()
        where = button(
            key or "The document",
            f"chains.fault.{at}",
            lambda: self._go_to(key, number),
            kind="link",
            small=True,
            tip="Go there",
        )
        where.setAccessibleName(f"{key}: {words}")
        self._left(where)
        fill(column(box, spacing=1), where, label(words, "small", "secondary", wraps=True, selectable=True))
        return box

    @staticmethod
    def _left(made: QPushButton) -> None:
        made.setCursor(Qt.CursorShape.PointingHandCursor)
        made.setSizePolicy(made.sizePolicy().Policy.Maximum, made.sizePolicy().Policy.Fixed)

    def _typed(self) -> None:
        if self._is_quiet:
            return
        words = self.input.toPlainText().strip()
        try:
            value: object = json.loads(words) if words else {}
        except ValueError as error:
            show_error(self.input, f"This is not JSON yet: {error}")
            return
        show_error(self.input, "")
        self._set_input(value)

    def _set_about(self, words: str) -> None:
        before = self._editor.draft.head.get("description", "")
        if words.strip() != before:
            self._editor.set_head("description", words.strip() or None, "description")

    def _set_loops(self) -> None:
        words = self.loops.text().strip()
        if words and not words.isdigit():
            show_error(self.loops, "Write a whole number.")
            return
        show_error(self.loops, "")
        number = int(words or "0")
        if number != self._editor.draft.loops:
            self._editor.set_head("budget", {"loops": number} if number else None, "loops")
