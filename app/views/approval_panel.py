# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The question whether a call may be made: which tool, whose, its whole arguments, what would change. Painted frame.

`Y` allows once, `C` for this chat, `A` for always, `N` denies (with a note, if one is written), Escape denies. Where the
risk is high the safe button has the focus, and nothing is primary. A yes counts only once the question has stood for a
moment: who was typing or clicking when it appeared has not read it.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QLineEdit, QPlainTextEdit, QPushButton, QWidget

from app.theme.apply import look
from app.theme.icons import pixmap
from app.theme.paint import rounded
from app.viewmodels.server_words import arguments_said, change_said
from app.views.painted import PillRow
from app.views.parts import ElidedLabel, bind, button, column, fill, label, row

RISKS = {"read": ("Low risk", "neutral"), "write": ("Medium risk", "warn"), "danger": ("High risk", "err")}
YES = (("once", "Allow once", "Y"), ("chat", "In this chat", "C"), ("always", "Always", "A"))
KEYS = {Qt.Key.Key_Y: "once", Qt.Key.Key_C: "chat", Qt.Key.Key_A: "always"}
READ_AFTER = timedelta(milliseconds=600)
HEAD_PX, RISK_PX, LINES_MAX, ARGUMENT_LINES, CHANGES_SEEN = 32, 84, 9, 4, 4


class ApprovalPanel(QFrame):
    """`show_call` shows a question; `decided` tells the scope of a yes, or an empty one and the note of a no."""

    decided = Signal(str, str)

    def __init__(self, prefix: str, now: Callable[[], Any]) -> None:
        super().__init__()
        self.setObjectName(f"{prefix}.panel")
        self._prefix = prefix
        self._now = now
        self._call: Any = None
        self._since = now()
        self._diffs: list[QWidget] = []
        self._lines_max = LINES_MAX
        self.title = label("", "uiStrong", name=f"{prefix}.title")
        self.scope = ElidedLabel("", "small", "secondary", f"{prefix}.scope")
        self.risk = PillRow(f"{prefix}.risk")
        self._head = QWidget()
        fill(row(self._head, (36, 0, 10, 0), 8), self.title, self.scope, None, self.risk)
        self.notes = label("", "small", "warn", wraps=True, name=f"{prefix}.notes")
        self.described = label("", "small", "secondary", wraps=True, name=f"{prefix}.described")
        self.arguments = QPlainTextEdit()
        self.arguments.setObjectName(f"{prefix}.arguments")
        self.arguments.setAccessibleName("Arguments of the call")
        self.arguments.setReadOnly(True)
        self.arguments.setTabChangesFocus(True)
        self._changes = column(spacing=4)
        self.note = QLineEdit()
        self.note.setObjectName(f"{prefix}.note")
        self.note.setAccessibleName("What the model is told with the no")
        self.note.setPlaceholderText("Say why, if you like; Enter denies")
        self.note.returnPressed.connect(lambda: self._no(self.note.text()))
        self.buttons: dict[str, QPushButton] = {
            scope: button(words, f"{prefix}.{scope}", bind(self._yes, scope), tip=f"{words}  {key}", key=key)
            for scope, words, key in YES
        }
        self.allow = self.buttons["once"]
        self.with_note = button(
            "Deny with note",
            f"{prefix}.withNote",
            self.ask_note,
            kind="ghost",
            tip="Deny with note  N",
            key="N",
        )
        self.deny = button("Deny", f"{prefix}.deny", lambda: self._no(""), kind="danger", tip="Deny  Esc")
        self.waiting = ElidedLabel("", "small", "tertiary", f"{prefix}.waiting")
        acts = row(spacing=6)
        fill(acts, *self.buttons.values(), self.waiting, None, self.with_note, self.deny)
        inner = column(margins=(12, 8, 12, 10), spacing=8)
        fill(inner, self.described, self.notes, self.arguments)
        inner.addLayout(self._changes)
        fill(inner, self.note)
        inner.addLayout(acts)
        outer = column(self, (1, 1, 1, 1))
        outer.addWidget(self._head)
        outer.addLayout(inner)
        self._restyle()
        look().theme_changed.connect(self._restyle)

    @property
    def call_id(self) -> str:
        """The question that is shown; empty for none."""
        return self._call.id if self._call is not None else ""

    def show_call(self, call: Any, more: int = 0) -> None:
        """Show this question; `more` others wait behind it."""
        self.waiting.set_words(f"{more} more waiting" if more else "")
        self.waiting.setVisible(more > 0)
        if call.id == self.call_id:
            return
        self._call, self._since = call, self._now()
        words, tone = RISKS[call.risk]
        is_high = call.risk == "danger"
        title = title_of(call)
        self.title.setText(title)
        until = call.expires_at.astimezone(self._now().tzinfo).strftime("%H:%M")
        self.scope.set_words(f"{whose(call)} · waits until {until}")
        self.risk.show_pills((words, tone, ""))
        self.described.setText(call.description.strip().partition("\n")[0][:400])
        self.described.setVisible(bool(self.described.text()))
        self.notes.setText("\n".join(call.notes))
        self.notes.setVisible(bool(call.notes))
        self.arguments.setPlainText(arguments_said(call.arguments))
        self._show_changes(call.changes)
        self.note.clear()
        self.note.hide()
        for scope, made in self.buttons.items():
            made.setVisible(scope in call.scopes)
        self.allow.setProperty("kind", "" if is_high else "primary")
        self.allow.style().unpolish(self.allow)
        self.allow.style().polish(self.allow)
        self.setAccessibleName(f"{title} {words}.")
        self.setAccessibleDescription(
            " ".join(
                [*call.notes, *(change_said(each) for each in call.changes), arguments_said(call.arguments)]
            )
        )
        self._restyle()

    def take_focus(self, reason: Qt.FocusReason = Qt.FocusReason.TabFocusReason) -> None:
        """The button a person most likely wants; where the risk is high, the safe one."""
        if self._call is not None:
            (self.deny if self._call.risk == "danger" else self.allow).setFocus(reason)

    def forget(self) -> None:
        """Nothing is asked any more."""
        self._call = None

    def ask_note(self) -> None:
        """Deny, saying why."""
        self.note.show()
        self.note.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _show_changes(self, changes: tuple[Any, ...]) -> None:
        for each in self._diffs:
            self._changes.removeWidget(each)
            each.hide()
            each.deleteLater()
        self._diffs = []
        # The arguments stand in any case, whole: a difference is only of what could be told beforehand.
        self._lines_max = LINES_MAX if not changes else ARGUMENT_LINES
        for number, change in enumerate(changes[:CHANGES_SEEN]):
            from app.views.connect.diff import DiffView

            head = ElidedLabel(change_said(change), "small", "secondary", f"{self._prefix}.change.{number}")
            diff = DiffView(f"{self._prefix}.diff.{number}")
            diff.lines_seen = LINES_MAX
            diff.show_lines(change.lines)
            self._diffs += [head, diff] if change.lines else [head]
        if len(changes) > CHANGES_SEEN:
            self._diffs.append(label(f"{len(changes) - CHANGES_SEEN} more changes", "small", "tertiary"))
        for each in self._diffs:
            self._changes.addWidget(each)

    def _yes(self, scope: str) -> None:
        if self._call is None or scope not in self._call.scopes:
            return
        if abs(self._now() - self._since) >= READ_AFTER:
            self.decided.emit(scope, "")

    def _no(self, note: str) -> None:
        if self._call is not None:
            self.decided.emit("", note)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        if event.modifiers() & ~Qt.KeyboardModifier.ShiftModifier:
            super().keyPressEvent(event)
        elif key in KEYS:
            self._yes(KEYS[key])
        elif key == Qt.Key.Key_N:
            self.ask_note()
        elif key == Qt.Key.Key_Escape:
            self._no("")
        else:
            super().keyPressEvent(event)

    def _restyle(self) -> None:
        self._head.setFixedHeight(look().px(HEAD_PX))
        self.risk.setFixedWidth(look().px(RISK_PX))
        self.arguments.setFont(look().font("codeSmall"))
        lines = min(self._lines_max, max(1, self.arguments.blockCount()))
        self.arguments.setFixedHeight(look().px(17 * lines) + 18)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        tone = "err" if self._call is not None and self._call.risk == "danger" else "warn"
        painter = QPainter(self)
        box, head = QRectF(self.rect()), self._head.height() + 1.0
        radius = look().tokens.radius("m")
        rounded(painter, box, radius, fill="bg.raised")
        painter.save()
        painter.setClipRect(QRectF(0, 0, box.width(), head))
        rounded(painter, box, radius, fill=f"{tone}.soft")
        painter.restore()
        rounded(painter, box, radius, line=f"{tone}.mark")
        place = round((self._head.height() - 16) / 2) + 1
        painter.drawPixmap(12, place, pixmap("shield-alert", f"{tone}.text", 16, self.devicePixelRatioF()))
        painter.end()


def title_of(call: Any) -> str:
    """What is asked."""
    if call.conversation_id:
        return f"Call {call.title or call.tool}?"
    return f"Let {call.software or call.client} call {call.tool}?"


def whose(call: Any) -> str:
    """Whose tool it is, and with whose rights it is asked for."""
    kind, _, name = call.whose.partition(":")
    if not call.conversation_id:
        return f"Asked with the key of {call.client}"
    match kind:
        case "server":
            return f"Tool of the server {name}"
        case "extension":
            return f"Function of {name}"
        case _:
            return "Chain of this workbench"
