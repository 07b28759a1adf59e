"""The chain as text: what is written is the chain at once where it can be read, and every fault stands at its line."""

from collections.abc import Callable

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QFrame

from app.viewmodels.chain_draft import Draft
from app.viewmodels.chain_editor import ChainEditor
from app.viewmodels.chain_text import text_of
from app.views.parts import bind, button, column, fill, frame, label, row
from app.widgets.code_field import CodeField

PAUSE_MS = 250


class TextTwin(QFrame):
    """A page of the main area; idle while it is not shown."""

    def __init__(self, editor: ChainEditor) -> None:
        super().__init__()
        self.setObjectName("chains.text")
        self.setProperty("role", "page")
        self._editor = editor
        self._is_mine = False
        self._refused: Draft | None = None
        layout = column(self)
        self.field = CodeField("chains.text.field", "The chain as YAML", most=0, has_numbers=True)
        outer = column(margins=(12, 12, 12, 0))
        outer.addWidget(self.field)
        layout.addLayout(outer, 1)
        foot = frame("page")
        inner = row(foot, (16, 8, 16, 10), 8)
        self.words = label("", "small", "tertiary", wraps=True, name="chains.text.words")
        self.go = button(
            "Show", "chains.text.go", self._go, kind="ghost", small=True, tip="Go to the first fault"
        )
        fill(inner, self.words)
        inner.setStretch(0, 1)
        inner.addWidget(self.go)
        layout.addWidget(foot)
        self._pause = QTimer(self)
        self._pause.setObjectName("chains.text.pause")
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(bind(self.take))
        self.field.written.connect(self._typed)
        editor.changed.connect(self.refresh)
        editor.faults_changed.connect(self._say_faults)
        editor.opened.connect(self._opened)
        editor.text_refused.connect(self._keep)

    def _opened(self) -> None:
        self._pause.stop()
        self._refused = None

    def _keep(self) -> None:
        """What was written is no chain yet: it stays as it is until something else becomes of the chain."""
        self._refused = self._editor.draft

    def refresh(self) -> None:
        """Show the draft's text, unless a person is in the middle of writing it."""
        if not self.isVisible() or self._pause.isActive() or self._refused is self._editor.draft:
            return
        self._refused = None
        words = text_of(self._editor.draft)
        if words == self.field.toPlainText():
            return
        self._is_mine = True
        self.field.set_words(words)
        self._is_mine = False
        self._say_faults()

    def showEvent(self, event: object) -> None:  # Qt's name
        """What changed meanwhile is shown."""
        super().showEvent(event)  # type: ignore[arg-type]
        self.refresh()
        self._say_faults()

    def hideEvent(self, event: object) -> None:  # Qt's name
        """What was written last is read."""
        super().hideEvent(event)  # type: ignore[arg-type]
        if self._pause.isActive():
            self.take()

    def take(self, then: Callable[[], None] | None = None) -> None:
        """Read what is written, now; `then` is called once it was read."""
        self._pause.stop()
        self._editor.read_text(self.field.toPlainText(), then)

    def settle(self, then: Callable[[], None]) -> None:
        """Call `then` once all that was written is in the draft: at once where nothing waits."""
        if self._pause.isActive():
            self.take(then)
        else:
            then()

    def _typed(self) -> None:
        if not self._is_mine:
            self._pause.start()

    def _say_faults(self) -> None:
        if not self.isVisible():
            return
        found = self._editor.faults
        by_line: dict[int, str] = {}
        for fault in found:
            if fault.line is not None:
                words = f"{fault.key}: {fault.message}" if fault.key else fault.message
                by_line[fault.line] = f"{by_line[fault.line]}\n{words}" if fault.line in by_line else words
        self.field.show_faults(by_line)
        if not found:
            self.words.setText("No faults. What is written here is what the graph shows.")
            self.go.hide()
            return
        first = found[0]
        place = f"Line {first.line}: " if first.line is not None else ""
        key = f"{first.key}: " if first.key else ""
        more = f"  ({len(found) - 1} more)" if len(found) > 1 else ""
        self.words.setText(f"{place}{key}{first.message} {first.hint}{more}")
        self.go.setVisible(first.line is not None)

    def _go(self) -> None:
        for fault in self._editor.faults:
            if fault.line is not None:
                self.go_to(fault.line)
                return

    def go_to(self, number: int) -> None:
        """The cursor to a line."""
        self.field.go_to_line(number)
        self.field.setFocus()
