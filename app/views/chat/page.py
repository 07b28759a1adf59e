# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The chat page: list, transcript, composer and the route trace, bound to their view-models."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAction, QActionGroup, QGuiApplication, QResizeEvent
from PySide6.QtWidgets import QFileDialog, QMenu, QSizePolicy, QStackedWidget, QVBoxLayout, QWidget

from app.theme.apply import look
from app.theme.icons import set_icon, tier_icon
from app.viewmodels.chat import NEW_TITLE
from app.viewmodels.chat_tiers import TIER_CHOICES, TierChoice
from app.viewmodels.trace import trace_of
from app.views.chat.composing import Composing
from app.views.chat.empty import Example, Examples, Greeting
from app.views.chat.side import ChatSide
from app.views.chat.trace_panel import TracePanel
from app.views.frame import PageFrame
from app.views.parts import (
    ElidedLabel,
    Head,
    MenuButton,
    bind,
    column,
    command_button,
    fill,
    frame,
    icon_button,
    row,
    taking,
)
from app.views.services import Services

if TYPE_CHECKING:
    from app.viewmodels.curation import CurationViewModel
    from app.views.chat.curation_panel import CurationPanel
    from app.views.chat.reading import Reading

MEASURE = 680
EXAMPLES_FROM = 500  # height of the page in px at normal text size


class ChatPage(PageFrame):
    """Everything about chats. Commands come by `run(command_id)`."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._traced = ""
        self._reading: Reading | None = None
        self._curation: CurationViewModel | None = None
        self._curation_panel: CurationPanel | None = None
        main = self._make_main()
        self._side = self._make_side()
        self.trace = TracePanel(
            close=lambda: self.show_inspector(False), regenerate=self._regenerate_traced, pin=self._pin_traced
        )
        self._inspected = QStackedWidget()
        self._inspected.setObjectName("chat.inspected")
        self._inspected.addWidget(self.trace)
        super().__init__("chat", main, self._side, self._inspected)
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
        self.tier_button = MenuButton(
            TIER_CHOICES[0].title, "chat.tier", "route", "Where answers may come from"
        )
        self.tier_menu = self._make_tier_menu()
        self.tier_button.clicked.connect(self._open_tier_menu)
        self.private_button = icon_button(
            "lock-open", "chat.private", "Keep on this computer", self._toggle_private, checkable=True
        )
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
            self.private_button,
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
        self.examples = Examples(self._try)
        self.composing = Composing(self._services, self._escape)
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

            self._curation = CurationViewModel(self._services.bridge, self._services.chat)
            self.composing.show_below(CurationMeterBar(self._curation, self.show_curation, self.composing))
        return self._curation

    def show_curation(self) -> None:
        """What the model will see, in the inspector."""
        if self._curation_panel is None:
            from app.views.chat.curation_panel import CurationPanel

            self._curation_panel = CurationPanel(self.curation, close=lambda: self.show_inspector(False))
            self._inspected.addWidget(self._curation_panel)
        self._inspected.setCurrentWidget(self._curation_panel)
        self.show_inspector()

    def _make_tier_menu(self) -> QMenu:
        menu = QMenu()
        menu.setObjectName("chat.tierMenu")
        menu.setToolTipsVisible(True)
        group = QActionGroup(menu)
        for choice in TIER_CHOICES:
            action: QAction = menu.addAction(choice.title)
            action.setObjectName(f"chat.tier.{choice.key}")
            action.setCheckable(True)
            action.setToolTip(choice.detail)
            if choice.tier:
                action.setIcon(tier_icon(choice.tier))  # type: ignore[arg-type]
            group.addAction(action)
            action.triggered.connect(bind(self._choose_tier, choice))
        return menu

    def _open_tier_menu(self) -> None:
        titles = {action.text(): action for action in self.tier_menu.actions()}
        if (now := titles.get(self._services.chat.pins_title)) is not None:
            now.setChecked(True)
        self.tier_menu.popup(self.tier_button.mapToGlobal(QPoint(0, self.tier_button.height() + 2)))

    def _choose_tier(self, choice: TierChoice) -> None:
        self._services.chat.pin_route(choice.title, choice.pins)

    # What is shown

    def _on_opened(self) -> None:
        self._say_emptiness()
        self.list.select(self._services.chat.conversation_id)
        self._trace_last()

    def _on_live(self, _answer_id: str, live: Any) -> None:
        self._services.status.show_live(live)

    def _on_ended(self, message: Any) -> None:
        if message.conversation_id != self._services.chat.conversation_id:
            return
        self._trace_last()

    def _say_emptiness(self) -> None:
        is_new = self._services.chat.is_new
        self.greeting.setVisible(is_new)
        self._show_examples()
        self._above.setVisible(is_new)
        self._below.setVisible(is_new)
        self._reading_place.setVisible(not is_new)
        if not is_new:
            _ = self.reading  # there is something to read: it is built now if it was not yet
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
        self.tier_button.set_words(chat.pins_title)
        self.tier_button.setAccessibleName(f"Where answers may come from: {chat.pins_title}")
        self._say_private()
        self.composing.set_running(chat.is_running)
        self.list.select(chat.conversation_id)
        self._services.status.show_answer(chat.last_answer)

    def _say_private(self) -> None:
        is_private = self._services.chat.is_private
        self.private_button.setChecked(is_private)
        set_icon(
            self.private_button,
            "lock" if is_private else "lock-open",
            "accent.text" if is_private else "text.secondary",
        )
        told = (
            "Kept on this computer: nothing of this chat leaves it" if is_private else "Keep on this computer"
        )
        self.private_button.setToolTip(told)
        self.private_button.setAccessibleName(told)

    def _toggle_private(self) -> None:
        chat = self._services.chat
        chat.keep_private(not chat.is_private)

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

    # The trace

    def _trace_last(self) -> None:
        answer = self._services.chat.last_answer
        if answer is None:
            self._traced = ""
            self.trace.show_trace(None)
        elif self.is_inspector_shown or not self._traced or self._services.chat.find(self._traced) is None:
            self._fill_trace(answer.id)

    def _show_trace(self, message_id: str) -> None:
        self._inspected.setCurrentWidget(self.trace)
        self.show_inspector()
        self._fill_trace(message_id)

    def _fill_trace(self, message_id: str) -> None:
        message = self._services.chat.find(message_id)
        if message is None:
            return
        self._traced = message_id
        self.trace.show_trace(trace_of(message))
        question = self._services.chat.question_of(message)
        if question is None:
            return
        pins = self._services.chat.pins

        def done(decision: Any) -> None:
            if self._traced == message_id:
                self.trace.show_trace(trace_of(message, decision))

        self._services.bridge.launch(
            "route.explain", lambda legion: legion.llm.explain(question.text, pins=pins), done, lambda _: None
        )

    def _regenerate_traced(self) -> None:
        if self._traced:
            self._services.chat.regenerate(self._traced)

    def _pin_traced(self) -> None:
        message = self._services.chat.find(self._traced)
        if message is not None and message.tier:
            choice = next(
                (
                    found
                    for found in TIER_CHOICES
                    if found.key in (f"max.{message.tier}", f"only.{message.tier}")
                ),
                None,
            )
            if choice is not None:
                self._choose_tier(choice)

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
            "chat.private": self._toggle_private,
            "chat.curation": self.show_curation,
            "chat.trash": lambda: chats.trash(chat.conversation_id),
            "chat.trash.show": lambda: chats.show_trash(not chats.is_trash),
            "chat.export": lambda: self._export(chat.conversation_id),
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
        self._services.chat.open(conversation_id)
        if not self.list.hasFocus() and not self.search.hasFocus():
            self.take_focus()

    def take_focus(self, reason: Qt.FocusReason = Qt.FocusReason.OtherFocusReason) -> None:
        """The composer has the focus."""
        self.composing.take_focus(reason)

    def _escape(self) -> bool:
        if self.close_overlays():
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
        dialog = QFileDialog(self, "Export this chat", f"{_file_name(title)}.md")
        dialog.setObjectName("chat.exportDialog")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilters(["Markdown (*.md)", "JSON (*.json)", "HTML (*.html)"])
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(taking(str, lambda path: self._write_export(conversation_id, path)))
        dialog.open()

    def _write_export(self, conversation_id: str, path: str) -> None:
        notices = getattr(self.window(), "notices", None)

        def done(name: str) -> None:
            if notices is not None:
                notices.tell(f"Saved {name}", icon="circle-check")

        self._services.chats.export(conversation_id, Path(path), done)


def last_code(markdown: str) -> str:
    """The text of the last fenced block, or nothing."""
    blocks: list[list[str]] = []
    fence = ""
    for part in markdown.splitlines():
        stripped = part.strip()
        if fence:
            if stripped.startswith(fence) and not stripped.strip("`~"):
                fence = ""
            else:
                blocks[-1].append(part)
        elif stripped.startswith(("```", "~~~")):
            fence = stripped[:3]
            blocks.append([])
    return "\n".join(blocks[-1]) if blocks else ""


def _file_name(title: str) -> str:
    kept = "".join(letter if letter.isalnum() or letter in " -_" else " " for letter in title)
    return " ".join(kept.split())[:80] or "chat"
