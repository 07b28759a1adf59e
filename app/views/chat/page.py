# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The chat page: list, transcript, composer and the route trace, bound to their view-models."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from app.theme.apply import look
from app.viewmodels.chat import NEW_TITLE
from app.views.chat.composing import Composing
from app.views.chat.empty import Example, Examples, Greeting
from app.views.chat.exporting import ask_where, last_code, write_chat
from app.views.chat.inspecting import Inspecting
from app.views.chat.routing import ChatRouting
from app.views.chat.side import ChatSide
from app.views.frame import PageFrame
from app.views.parts import (
    ElidedLabel,
    Head,
    bind,
    column,
    command_button,
    fill,
    frame,
    icon_button,
    row,
)
from app.views.services import Services

if TYPE_CHECKING:
    from app.viewmodels.curation import CurationViewModel
    from app.views.chat.reading import Reading
    from app.views.chat.tooling import ChatToolsing

MEASURE = 680
EXAMPLES_FROM = 520  # height of the page in px at normal text size


class ChatPage(PageFrame):
    """Everything about chats. Commands come by `run(command_id)`."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._reading: Reading | None = None
        self._curation: CurationViewModel | None = None
        self._found = ""
        self._tools: ChatToolsing | None = None
        main = self._make_main()
        self._side = self._make_side()
        self.inspected = Inspecting(
            services, lambda: self.show_inspector(False), self.routing.pin_tier, lambda: self.curation
        )
        self.trace = self.inspected.trace
        super().__init__("chat", main, self._side, self.inspected)
        self._acts = self._make_acts()
        chat, chats = services.chat, services.chats
        chat.opened.connect(self._on_opened)
        chat.state_changed.connect(self._say_state)
        chat.appended.connect(bind(self._say_emptiness))
        chat.ended.connect(self._on_ended)
        chats.changed.connect(self._on_list)
        chat.live_changed.connect(self._on_live)
        chats.gone.connect(self._on_gone)
        services.status.changed.connect(self._say_lead)
        self.composing.tools.clicked.connect(bind(self.show_tools))
        self.panes_changed.connect(self._mirror_panes)
        look().theme_changed.connect(self._restyle)
        self._restyle()
        self._say_emptiness()
        self._say_state()
        self._on_list()
        self._say_lead()
        self._mirror_panes()

    # The second column

    def _make_side(self) -> ChatSide:
        side = ChatSide(self._services, self.open, self.run, self._export)
        self.list, self.search = side.list, side.search
        return side

    def _on_list(self) -> None:
        self._side.show_chats()

    def _on_gone(self, conversation_id: str) -> None:
        if conversation_id == self._services.chat.conversation_id:
            self._services.chat.start_new()

    # The main area

    def _make_main(self) -> QWidget:
        main = frame("page", "chat.main")
        main.setAccessibleName("Chat")
        layout: QVBoxLayout = column(main)
        self._head = Head(left=16, right=12, spacing=6)
        self.title = ElidedLabel(NEW_TITLE, "heading", name="chat.title")
        self.routing = ChatRouting(self._services.chat)
        self.tier_button, self.tier_menu = self.routing.button, self.routing.menu
        self.find_button = command_button("chat.find", "chat.find", lambda: self.run("chat.find"))
        self.inspector_button = icon_button(
            "panel-right",
            "chat.inspector",
            "Route trace",
            self.toggle_inspector,
            keys="Ctrl I",
            checkable=True,
        )
        self.side_button = icon_button(
            "list", "chat.side", "Chat list", self.toggle_side, keys="Ctrl B", checkable=True
        )
        self._head.add(
            self.side_button,
            self.title,
            None,
            self.routing.lock,
            self.tier_button,
            self.find_button,
            self.inspector_button,
        )
        layout.addWidget(self._head)
        # The transcript and its markdown take a fifth of the start, and a new chat does not need them.
        self._reading_place = QWidget()
        self._reading_place.setObjectName("chat.readingPlace")
        column(self._reading_place)
        layout.addWidget(self._reading_place, 1)
        self.greeting = Greeting()
        self.examples = Examples(self._try, self._services.commands.run)
        self.composing = Composing(self._services, self._escape)
        self.composing.attaching.take_drops_on(main)
        middle = QWidget()
        middle.setObjectName("chat.middle")
        self._middle = column(middle)
        self._above = QWidget()
        self._below = QWidget()
        for spacer in (self._above, self._below):
            spacer.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        inner = QWidget()
        self._inner = inner
        inner.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        fill(column(inner, (2, 0, 2, 0)), self.greeting, self.composing, self.examples)
        centred = row(margins=(22, 0, 22, 12))
        centred.addStretch(1)
        centred.addWidget(inner, 1000)
        centred.addStretch(1)
        self._middle.addWidget(self._above, 1)
        self._middle.addLayout(centred)
        self._middle.addWidget(self._below, 1)
        layout.addWidget(middle)
        self._middle_box = middle
        return main

    @property
    def reading(self) -> "Reading":
        """The transcript, built when it is first needed or when the window has time (`warm`)."""
        if self._reading is None:
            from app.views.chat.reading import Reading

            self._reading = Reading(self._services, self._show_trace, self._edit_question)
            place = self._reading_place.layout()
            assert place is not None
            place.addWidget(self._reading)
        return self._reading

    @property
    def curation(self) -> "CurationViewModel":
        """What curation does to the open chat; made, with its meter, when there is a chat."""
        if self._curation is None:
            from app.viewmodels.curation import CurationViewModel
            from app.views.chat.curation_meter import CurationMeterBar

            made = self._curation = CurationViewModel(self._services.bridge, self._services.chat)
            made.changed.connect(lambda: self._services.status.show_estimate(made.sent_tokens))
            self.composing.show_below(CurationMeterBar(self._curation, self.show_curation, self.composing))
        return self._curation

    @property
    def tools(self) -> "ChatToolsing":
        """Tools of the open chat: made when there is a chat, or somebody asks for them."""
        if self._tools is None:
            from app.views.chat.tooling import ChatToolsing

            self._tools = ChatToolsing(self._services, self.composing)
        return self._tools

    def show_tools(self) -> None:
        """What this chat may use, to be switched."""
        self.tools.control.open_menu()

    def show_curation(self) -> None:
        """What the model will see, in the inspector."""
        self.inspected.show_curation()
        self.show_inspector()

    # What is shown

    def _on_opened(self) -> None:
        self._say_emptiness()
        self._show_found()
        self.list.select(self._services.chat.conversation_id)
        self.inspected.follow(is_shown=self.is_inspector_shown)

    def _on_live(self, _answer_id: str, live: Any) -> None:
        self._services.status.show_live(live)

    def _on_ended(self, message: Any) -> None:
        if message.conversation_id != self._services.chat.conversation_id:
            return
        self.inspected.follow(is_shown=self.is_inspector_shown)

    def _say_emptiness(self) -> None:
        is_new = self._services.chat.is_new
        self.greeting.setVisible(is_new)
        self._show_examples()
        self._above.setVisible(is_new)
        self._below.setVisible(is_new)
        self._reading_place.setVisible(not is_new)
        if not is_new:
            self.tools.follow(self.reading)  # there is something to read: it is built now if it was not yet
            _ = self.curation
        self._middle_box.setSizePolicy(
            QSizePolicy.Policy.Preferred,
            QSizePolicy.Policy.Expanding if is_new else QSizePolicy.Policy.Maximum,
        )
        self.find_button.setVisible(not is_new)
        self.composing.set_new(is_new)

    def _show_examples(self) -> None:
        # Where there is no room for the cards, the question comes first.
        self.examples.setVisible(self._services.chat.is_new and self.height() >= look().px(EXAMPLES_FROM))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._show_examples()

    def _restyle(self) -> None:
        self._inner.setMaximumWidth(look().px(MEASURE) + 4)
        self._show_examples()

    def _say_state(self) -> None:
        chat = self._services.chat
        self.title.set_words(chat.title)
        self.routing.say()
        self.composing.set_running(chat.is_running)
        self.list.select(chat.conversation_id)
        self._services.status.show_answer(chat.last_answer)

    def _say_lead(self) -> None:
        words = self._services.status.words
        if self._services.bridge.problem:
            self.greeting.lead.say("The engine did not start, so nothing can answer yet.")
        elif words.model and words.model_tier == "local":
            self.greeting.lead.say(
                f"{words.model} answers on this computer, with no key and no network.", "local"
            )
        elif words.model:
            self.greeting.lead.say(f"{words.model} answers.", words.model_tier)
        elif self._services.status.status is None:
            self.greeting.lead.say("The engine is starting. You can type already.")
        else:
            self.greeting.lead.say("No model is here yet. Open Models to add one.")

    def _mirror_panes(self) -> None:
        self.inspector_button.setChecked(self.is_inspector_shown)
        self.side_button.setChecked(self.is_side_shown)
        self.side_button.setVisible(not self.is_side_shown or self._folds_side)

    def _show_trace(self, message_id: str) -> None:
        self.inspected.show_trace(message_id)
        self.show_inspector()

    # What a person does

    def run(self, command_id: str) -> None:
        """Do what a command of the chat says; unknown ones do nothing."""
        if (act := self._acts.get(command_id)) is not None:
            act()

    def _make_acts(self) -> dict[str, Callable[[], Any]]:
        chat, chats = self._services.chat, self._services.chats
        return {
            "chat.new": self._start_new,
            "chat.search": self._focus_search,
            "chat.find": lambda: self.reading.find_here(),
            "chat.rename": self._rename_open,
            "chat.pin": lambda: chats.toggle_pin(chat.conversation_id),
            "chat.private": self.routing.toggle_private,
            "chat.curation": self.show_curation,
            "chat.tools": self.show_tools,
            "chat.trash": lambda: chats.trash(chat.conversation_id),
            "chat.trash.show": lambda: chats.show_trash(not chats.is_trash),
            "chat.export": lambda: self._export(chat.conversation_id),
            "chat.import": self._import,
            "answer.stop": chat.stop,
            "answer.copy": lambda: self._copy(chat.last_answer.text if chat.last_answer else ""),
            "answer.copyCode": lambda: self._copy(
                last_code(chat.last_answer.text) if chat.last_answer else ""
            ),
            "answer.regenerate": lambda: chat.last_answer and chat.regenerate(chat.last_answer.id),
            "answer.trace": lambda: chat.last_answer and self._show_trace(chat.last_answer.id),
            "question.edit": lambda: chat.last_question and self._edit_question(chat.last_question.id),
        }

    def _start_new(self) -> None:
        self._services.chats.show_trash(False)
        self._services.chat.start_new()
        self.take_focus()

    def _focus_search(self) -> None:
        if not self.is_side_shown:
            self.toggle_side()
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

    def _copy(self, words: str) -> None:
        notices = getattr(self.window(), "notices", None)
        if words:
            QGuiApplication.clipboard().setText(words)
        if notices is not None:
            notices.tell("Copied" if words else "There is nothing to copy", icon="copy")

    def open(self, conversation_id: str) -> None:
        """Show a chat and be ready to type."""
        self.close_overlays()
        self._found = self._services.chats.found_in(conversation_id)
        if conversation_id == self._services.chat.conversation_id:
            self._show_found()
        self._services.chat.open(conversation_id)
        if not self.list.hasFocus() and not self.search.hasFocus():
            self.take_focus()

    def _show_found(self) -> None:
        """Who comes from a search wants the place that was found, not the end of the chat."""
        found, self._found = self._found, ""
        if found and not self._services.chat.is_new:
            self.reading.find_bar.show_words(found)

    def take_focus(self, reason: Qt.FocusReason = Qt.FocusReason.OtherFocusReason) -> None:
        """The composer has the focus."""
        self.composing.take_focus(reason)

    def _escape(self) -> bool:
        if self.close_overlays() or self.composing.refuse_waiting():
            return True
        return self._services.chat.stop()

    def _try(self, example: Example) -> None:
        if example.command:
            self._services.commands.run(example.command)
        else:
            self.composing.set_text(example.question)
            self.take_focus()

    def _edit_question(self, message_id: str) -> None:
        message = self._services.chat.find(message_id)
        if message is not None:
            self.composing.begin_edit(message_id, message.text)

    def _rename_open(self) -> None:
        if not self.is_side_shown:
            self.toggle_side()
        self.list.select(self._services.chat.conversation_id)
        self.list.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.list.rename_current()

    def _export(self, conversation_id: str) -> None:
        title = self._services.chats.title_of(conversation_id) or self._services.chat.title
        ask_where(self, title, lambda path: self._write_export(conversation_id, path))

    def _import(self) -> None:
        from app.views.chat.importing import ask_which

        ask_which(self.window(), self._services.bridge, self.open)

    def _write_export(self, conversation_id: str, path: str) -> None:
        write_chat(self._services.chats, conversation_id, path, self.window())
