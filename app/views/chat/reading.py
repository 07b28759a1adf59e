# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The transcript bound to the chat's view-model, with the bar that finds in it."""

from collections.abc import Callable
from datetime import tzinfo
from typing import Any

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QMenu, QWidget

from app.commands import BY_ID, spoken
from app.theme.icons import icon
from app.viewmodels import wording
from app.views.chat.pictures import ChatPictures
from app.views.chat.tool_cards import card, cards_of
from app.views.chat.translate import WAITING, failure, seam_of, shown
from app.views.links import ask_then_open
from app.views.parts import column, fill, icon_button, label, line, row, search_field, taking
from app.views.services import Services
from app.widgets.transcript.model import Message
from app.widgets.transcript.view import TranscriptView

SHOW_THINKING = "chat.show_thinking"


class FindBar(QFrame):
    """Finds in the open chat: Enter goes on, Shift+Enter back, Escape closes."""

    def __init__(self, transcript: TranscriptView, closed: Callable[[], None]) -> None:
        super().__init__()
        self.setObjectName("find")
        self.setProperty("role", "side")
        self._transcript = transcript
        self._closed = closed
        layout = column(self)
        self.field = search_field("Find in this chat", "find.field", spoken(BY_ID["chat.find"].shortcut))
        self.field.textChanged.connect(self._search)
        self.field.installEventFilter(self)
        self.count = label("", "small", "tertiary", name="find.count")
        inner = row(margins=(16, 6, 12, 6), spacing=6)
        fill(
            inner, self.field, self.count,
            icon_button("chevron-up", "find.previous", "Previous match", transcript.find_previous, keys="Shift Enter"),
            icon_button("chevron-down", "find.next", "Next match", transcript.find_next, keys="Enter"),
            icon_button("x", "find.close", "Close", self.close_bar, keys="Esc"),
        )  # fmt: skip
        layout.addLayout(inner)
        layout.addWidget(line())
        transcript.find_changed.connect(self._say)
        self.hide()

    def open_bar(self) -> None:
        """Show it and be ready to type."""
        self.show()
        self.field.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.field.selectAll()
        if self.field.text():
            self._search(self.field.text())

    def show_words(self, words: str) -> None:
        """Go to the newest place of what a search found; who walks through its results keeps the keyboard."""
        self.field.blockSignals(True)
        self.field.setText(words)
        self.field.blockSignals(False)
        self.show()
        self._transcript.find_text(words, is_newest=True)

    def close_bar(self) -> None:
        """Hide it; the marks in the text go too."""
        self.hide()
        self._transcript.clear_find()
        self._closed()

    def _search(self, words: str) -> None:
        if words:
            self._transcript.find_text(words)
        else:
            self._transcript.clear_find()
            self.count.clear()

    def _say(self, current: int, total: int) -> None:
        words = "" if not self.field.text() else f"{current} of {total}" if total else "Not found"
        self.count.setText(words)
        self.count.setAccessibleName(words)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            match event.key():
                case Qt.Key.Key_Escape:
                    self.close_bar()
                    return True
                case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                    if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
                        self._transcript.find_previous()
                    else:
                        self._transcript.find_next()
                    return True
                case _:
                    pass
        return super().eventFilter(watched, event)


class Reading(QWidget):
    """Transcript and find bar. `show_trace` and `edit` take a message's id."""

    def __init__(
        self, services: Services, show_trace: Callable[[str], None], edit: Callable[[str], None]
    ) -> None:
        super().__init__()
        self.setObjectName("chat.reading")
        self._services = services
        self._show_trace = show_trace
        self._tools: Any = None
        self._shows_thinking = bool(services.settings.value(SHOW_THINKING, False))
        self.transcript = TranscriptView()
        self.transcript.setObjectName("chat.transcript")
        self.model = self.transcript.model
        self.find_bar = FindBar(
            self.transcript, lambda: self.transcript.setFocus(Qt.FocusReason.OtherFocusReason)
        )
        layout = column(self)
        layout.addWidget(self.find_bar)
        layout.addWidget(self.transcript, 1)
        chat = services.chat
        chat.opened.connect(self._on_opened)
        chat.appended.connect(self._on_appended)
        chat.changed.connect(self._on_changed)
        chat.renamed_id.connect(self._on_renamed_id)
        chat.grew.connect(self._on_grew)
        chat.live_changed.connect(self._on_live)
        chat.joined.connect(self._on_joined)
        services.settings.value_changed.connect(taking(str, lambda _: self._see_setting()))
        services.settings.changed.connect(self._see_setting)
        view = self.transcript
        view.badge_clicked.connect(show_trace)
        view.regenerate_requested.connect(self._regenerate)
        view.edit_requested.connect(edit)
        view.variant_requested.connect(self._on_variant)
        view.action_triggered.connect(self._on_action)
        view.link_activated.connect(self._ask_then_open)
        view.menu_wanted.connect(self._fill_menu)
        self.pictures = ChatPictures(services.bridge, view)
        view.picture_of = self.pictures.small
        view.picture_activated.connect(self.pictures.look_at)
        self._on_opened()

    def find_here(self) -> None:
        """Open the find bar."""
        self.find_bar.open_bar()

    # From the view-model

    def _on_opened(self) -> None:
        messages: list[Message] = []
        zone = self._services.now().tzinfo
        for message in self._services.chat.messages:
            messages.extend(self._shown(message, zone))
        self.model.reset(messages)
        running = self._services.chat.running
        if running is not None and running.id in self.model:
            self.model.begin_stream(running.id, "" if running.text else WAITING)

    def show_calls(self, tools: Any) -> None:
        """Cards of calls follow this view-model from now on."""
        self._tools = tools
        tools.call_changed.connect(self._on_call)
        tools.calls_loaded.connect(self._on_calls_loaded)

    def _on_call(self, call: Any) -> None:
        made = card(call)
        if made.id in self.model:
            self.model.replace(made)

    def _on_calls_loaded(self) -> None:
        for call in self._tools.calls:
            self._on_call(call)

    def _on_appended(self, message: Any) -> None:
        for made in self._shown(message):
            self.model.append_message(made)
        if message.status == "streaming" and message.id in self.model:
            self.model.begin_stream(message.id, WAITING)

    def _on_changed(self, message: Any) -> None:
        if message.id not in self.model:
            return
        held = self.model.message(message.id)
        was_streaming = held.is_streaming
        fresh, *errors = self._shown(message)
        if was_streaming and held.whole_text() == fresh.text and message.status != "streaming":
            # The text is here already: only its end is new, so nothing is laid out again.
            self.model.finish(message.id, fresh.badge, fresh.status)
            same_thinking = fresh.thinking == held.whole_thinking()
            if fresh.seams != held.seams or fresh.variants != held.variants or not same_thinking:
                self.model.replace(fresh)
        elif not was_streaming or message.status != "streaming":
            if was_streaming:
                self.model.finish(message.id, fresh.badge, fresh.status)
            self.model.replace(fresh)
        for error in errors:
            if error.id not in self.model:
                self.model.append_message(error)

    def _on_renamed_id(self, before: str, _after: str) -> None:
        if before in self.model:
            self.model.drop_from(before)
            question = self._services.chat.last_question
            if question is not None:
                self._on_appended(question)

    def _on_grew(self, answer_id: str, text: str, thinking: str) -> None:
        if answer_id not in self.model:
            return
        if thinking:
            self.model.append_thinking(answer_id, thinking)
        if text:
            self.model.append_text(answer_id, text)

    def _on_live(self, answer_id: str, live: Any) -> None:
        if answer_id in self.model and self.model.message(answer_id).is_streaming:
            self.model.set_note(answer_id, live.words)

    def _on_joined(self, answer_id: str, seam: Any) -> None:
        if answer_id in self.model:
            self.model.add_seam(answer_id, seam_of(seam))

    def _shown(self, message: Any, zone: tzinfo | None = None) -> list[Message]:
        if message.role == "tool":
            return []  # what tools gave stands in the cards of the answer that called them
        moment = message.created_at.astimezone(zone or self._services.now().tzinfo)
        chat = self._services.chat
        made = [
            shown(
                message,
                chat.text_of(message.id),
                time=wording.clock_time(moment),
                thinking=chat.thinking_of(message.id),
                shows_thinking=self._shows_thinking,
            )
        ]
        if message.calls:
            made += cards_of(
                message,
                self._tools.call_of if self._tools is not None else None,
                chat.results_of(message),
            )
        error = failure(message)
        return [*made, error] if error is not None else made

    def _see_setting(self) -> None:
        wanted = bool(self._services.settings.value(SHOW_THINKING, False))
        if wanted == self._shows_thinking:
            return
        self._shows_thinking = wanted
        if any(held.whole_thinking() for held in self.model.messages()):
            self._on_opened()

    # From the person

    def _on_variant(self, message_id: str, index: int) -> None:
        message = self._services.chat.find(message_id)
        if message is not None and 0 <= index < len(message.siblings):
            self._services.chat.choose(message.siblings[index])

    def _on_action(self, message_id: str, action: str) -> None:
        answer_id = message_id.removesuffix(".error")
        if action == "retry":
            self._services.chat.regenerate(answer_id)
        elif action == "trace":
            self._show_trace(answer_id)

    def _regenerate(self, message_id: str) -> None:
        self._services.chat.regenerate(message_id)

    def _fill_menu(self, message_id: str, menu: QMenu) -> None:
        if (call := self._call_of(message_id)) is not None:
            menu.addAction(icon("wrench"), "Show all of the call", lambda: self._show_call(*call))

    def _call_of(self, card: str) -> tuple[str, str, str | None] | None:
        """Name, arguments and result (None: not known) of the call whose card this is."""
        answer_id, mark, place = card.rpartition(".call.")
        chat = self._services.chat
        answer = chat.find(answer_id) if mark else None
        if answer is None or int(place) >= len(answer.calls):
            return None
        block = answer.calls[int(place)]
        made = self._tools.call_of(answer_id, int(place)) if self._tools is not None else None
        told = chat.results_of(answer).get(block.id)
        return block.name, block.arguments, told.text if told is not None else made.result if made else None

    def _show_call(self, name: str, arguments: str, result: str | None) -> None:
        from app.views.chat.call_dialog import CallDialog

        CallDialog(name, arguments, result, self.window()).open()

    def _ask_then_open(self, address: str) -> None:
        ask_then_open(self, address)
