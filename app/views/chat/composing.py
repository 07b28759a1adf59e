# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The composer bound to the chat: sends, stops, edits an earlier message, keeps the draft."""

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QWidget

from app.views.chat.attaching import Attaching
from app.views.parts import MenuButton, button, column, fill, label, row
from app.views.services import Services
from app.widgets.composer import Composer

NEW_LINES = 2
HINT_NEW, HINT_REPLY, HINT_EDIT = "Ask anything", "Reply", "Your message in other words"


class Composing(QWidget):
    """`escape` is asked what Escape means when nothing is edited; it says whether it did something."""

    def __init__(self, services: Services, escape: Callable[[], bool]) -> None:
        super().__init__()
        self.setObjectName("chat.composing")
        self._services = services
        self._escape = escape
        self._edited = ""
        self._kept = ""
        self.composer = Composer()
        self.composer.submitted.connect(self._submit)
        self.composer.stop_requested.connect(self._stop)
        self.composer.field.textChanged.connect(self._changed)
        self.attaching = Attaching(services, self.composer)
        self.tools = MenuButton("Tools", "chat.tools", "wrench", "Tools this chat may use")
        self.tools.setAccessibleName("Tools of this chat: none")
        self.composer.add_tool(self.tools)
        self._banner = QWidget()
        self._banner.setObjectName("chat.editing")
        head = row(self._banner, (2, 0, 2, 6), 6)
        fill(
            head, label("Editing your message. The old one and its answer are kept as another branch.", "small", "secondary"), None,
            button("Cancel", "chat.cancelEdit", self.cancel_edit, kind="ghost", small=True, tip="Cancel  Esc"),
        )  # fmt: skip
        self._banner.hide()
        self._column = column(self)
        fill(self._column, self._banner, self.composer)
        self.setFocusProxy(self.composer.field)
        services.chat.draft_loaded.connect(self._take_draft)
        services.settings.value_changed.connect(self._on_setting)
        services.settings.changed.connect(lambda: self._on_setting("chat.send_with_enter"))
        self._on_setting("chat.send_with_enter")
        if services.chat.draft:
            self.composer.set_text(services.chat.draft)

    @property
    def is_editing(self) -> bool:
        """Whether what is typed replaces an earlier message."""
        return bool(self._edited)

    def show_above(self, widget: QWidget) -> None:
        """Put something over the composer."""
        self._column.insertWidget(0, widget)

    def _stop(self) -> None:
        """What waits for a yes is refused first; then the answer is stopped."""
        if not self.refuse_waiting():
            self._services.chat.stop()

    def refuse_waiting(self) -> bool:
        """Deny the call of this chat that waits; False if none does."""
        waiting = self._services.mcp.of_chat(self._services.chat.conversation_id)
        if waiting:
            self._services.mcp.decide(waiting[0].id, False)
        return bool(waiting)

    def show_below(self, widget: QWidget) -> None:
        """Put something under the composer."""
        self._column.addWidget(widget)

    def take_focus(self, reason: Qt.FocusReason = Qt.FocusReason.OtherFocusReason) -> None:
        """The caret is in the field."""
        self.composer.take_focus(reason)

    def set_text(self, words: str) -> None:
        """Put an example in the field."""
        self.composer.set_text(words)

    def set_new(self, is_new: bool) -> None:
        """A new chat has a taller field and another hint."""
        lines = NEW_LINES if is_new else 1
        if not self._edited:
            self._hint(HINT_NEW if is_new else HINT_REPLY)
        if lines == self.composer.lines_min:
            return
        self.composer.lines_min = lines
        words = self.composer.text()
        # The field takes its height when its text changes.
        self.composer.set_text(f"{words}\n\n\n")
        self.composer.set_text(words)

    def set_running(self, is_running: bool) -> None:
        """An answer is on its way."""
        self.composer.set_running(is_running)

    def begin_edit(self, message_id: str, words: str) -> None:
        """Edit an earlier message; what was typed comes back when it is cancelled."""
        if not self._edited:
            self._kept = self.composer.text()
        self._edited = message_id
        self.attaching.set_usable(False)
        self._banner.show()
        self._hint(HINT_EDIT)
        self.composer.set_text(words)
        self.take_focus()

    def cancel_edit(self) -> None:
        """Leave the earlier message as it is."""
        self._end_edit()
        self.composer.set_text(self._kept)
        self.take_focus()

    def _end_edit(self) -> None:
        self._edited = ""
        self.attaching.set_usable(True)
        self._banner.hide()
        self._hint(HINT_REPLY)

    def _hint(self, words: str) -> None:
        self.composer.placeholder = words
        self.composer.field.setToolTip("")

    def _submit(self, words: str) -> None:
        chat = self._services.chat
        if self._edited:
            edited = self._edited
            self._end_edit()
            chat.edit(edited, words)
            self.composer.set_text(self._kept)
        elif not self.attaching.files.send(words):
            self.composer.set_text(words)

    def _changed(self) -> None:
        if not self._edited:
            self._services.chat.set_draft(self.composer.text())

    def _take_draft(self, words: str) -> None:
        if self._edited:
            self._end_edit()
        if words != self.composer.text():
            self.composer.clear()
            self.composer.set_text(words)

    def _on_setting(self, key: str) -> None:
        if key == "chat.send_with_enter":
            self.composer.enter_sends = bool(self._services.settings.value(key, True))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            if self._edited:
                self.cancel_edit()
                return
            if self._escape():
                return
        super().keyPressEvent(event)
