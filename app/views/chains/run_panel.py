"""What became of the chosen node in the run that is shown: state and reason, what went in and came out, and again."""

from typing import Any, cast

from PySide6.QtWidgets import QWidget

from app.viewmodels.chain_editor import ChainEditor
from app.viewmodels.chain_run import STATE_OF
from app.views.chains.fields import as_json, breakable, caption, well
from app.views.painted import PillRow
from app.views.parts import button, column, fill, label, row
from app.widgets.canvas.looks import STATES
from app.widgets.flow import FlowLayout
from app.widgets.segmented import Segmented

TONES = {"done": "ok", "failed": "err", "running": "accent", "unknown": "warn"}
PARTS = (("result", "Out"), ("args", "Called with"), ("payload", "In"), ("log", "Log"))


class RunSection(QWidget):
    """Shown only while there is a run, or a pin, to tell of."""

    def __init__(self, editor: ChainEditor) -> None:
        super().__init__()
        self.setObjectName("chains.run")
        self._editor = editor
        self._payload: Any = None
        self._node = ""
        layout = column(self, (12, 10, 12, 12), 6)
        head = row(spacing=6)
        self.state = PillRow("chains.run.state")
        fill(head, caption("This run"), 4, self.state)
        self.reason = label("", "small", "secondary", wraps=True, selectable=True, name="chains.run.reason")
        self.part = Segmented(PARTS, "What to show", small=True)
        self.part.setObjectName("chains.run.part")
        self.part.changed.connect(self._show_part)
        self.data = well("chains.run.data", "What went in or came out")
        self.again = button(
            "Run from here", "chains.run.again", self._run_again, icon="step-forward", small=True,
            tip="A new run that keeps what came before this node",
        )  # fmt: skip
        self.retry = button(
            "Try again",
            "chains.run.retry",
            self._retry,
            icon="refresh-cw",
            small=True,
            tip="Queue this task again",
        )
        self.pin = button(
            "Pin result", "chains.run.pin", self._pin, icon="pin", small=True,
            tip="Further runs take this result and do not run the node",
        )  # fmt: skip
        buttons = FlowLayout(spacing=6)  # at a large text size they stand on two lines
        for made in (self.again, self.retry, self.pin):
            buttons.addWidget(made)
        fill(layout, head, self.reason, self.part, self.data, buttons)
        editor.runs.changed.connect(self._say_state)
        editor.runs.read.connect(self.refresh)
        editor.selected.connect(self.refresh)
        editor.runs.pins_changed.connect(self._say_pin)
        self.refresh()

    def refresh(self) -> None:
        """Ask for the chosen node's part of the run again."""
        self._say_state()
        if self._node:
            self._ask()

    def _say_state(self) -> None:
        node, run = self._editor.node, self._editor.runs.run
        mark = run.nodes.get(node.name) if node is not None and run is not None else None
        has_any = node is not None and (mark is not None or node.name in self._editor.runs.pins)
        self.setVisible(has_any)
        if node is None or not has_any:
            self._node = ""
            return
        if node.name != self._node:
            self._payload = None
        self._node = node.name
        if mark is not None:
            state = mark.state
            self.state.show_pills(
                (mark.said or "not begun", TONES.get(state, "neutral"), STATES[state].glyph)
            )
            self.reason.setText(breakable(mark.reason))
            self.reason.setVisible(bool(mark.reason))
        else:
            self.state.show_pills()
            self.reason.hide()
        is_over = run is not None and not run.is_running
        self.again.setEnabled(is_over and run is not None and bool(run.view.id) and not run.view.is_dry)
        self.again.setToolTip(
            "A new run that keeps what came before this node"
            if self.again.isEnabled()
            else "Once the run has ended"
        )
        self._say_pin()

    def _ask(self) -> None:
        name = self._node

        def done(found: Any) -> None:
            if name == self._node:
                self._payload = found
                self._show_part(self.part.choice)
                self._say_pin()

        self._editor.runs.ask_payload(name, done)

    def _show_part(self, part: str) -> None:
        found = self._payload
        if part == "log":
            self._show_log()
            return
        value = getattr(found, part, None) if found is not None else None
        self.data.set_words("Nothing yet" if value is None else as_json(value))

    def _show_log(self) -> None:
        task, name = getattr(self._payload, "id", ""), self._node

        def done(lines: tuple[str, ...]) -> None:
            if name == self._node and self.part.choice == "log":
                self.data.set_words("\n".join(lines) or "It wrote nothing.")

        if task:
            self._editor.previews.logs(task, done)
        else:
            self.data.set_words("It wrote nothing.")

    def _say_pin(self) -> None:
        is_pinned = self._node in self._editor.runs.pins
        self.pin.setText("Unpin" if is_pinned else "Pin result")
        self.pin.setAccessibleName(self.pin.text())
        result = getattr(self._payload, "result", None)
        self.pin.setEnabled(is_pinned or result is not None)
        self.pin.setToolTip(
            "The node runs again" if is_pinned
            else "Further runs take this result and do not run the node" if self.pin.isEnabled()
            else "There is no result to pin yet"
        )  # fmt: skip
        run = self._editor.runs.run
        mark = run.nodes.get(self._node) if run is not None else None
        status = next((name for name, n in mark.counts.items() if n > 0), "") if mark is not None else ""
        can = STATE_OF.get(status) == "failed" and bool(getattr(self._payload, "id", ""))
        self.retry.setVisible(can)

    def _run_again(self) -> None:
        self._editor.runs.replay(self._node)

    def _retry(self) -> None:
        self._editor.runs.retry_task(str(self._payload.id))

    def _pin(self) -> None:
        if self._node in self._editor.runs.pins:
            self._editor.runs.unpin(self._node)
        elif self._payload is not None:
            self._editor.runs.pin(self._node, cast("object", self._payload.result))
