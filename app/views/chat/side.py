"""The second column of the chat page: the chats, their search, and the Trash."""

from collections.abc import Callable

from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QMenu, QWidget

from app.commands import BY_ID, spoken
from app.theme.icons import icon
from app.views.chat.list import ChatList
from app.views.parts import Head, column, command_button, icon_button, label, row, search_field
from app.views.services import Services


class ChatSide(QWidget):
    """Follows the list of the view-model; opening, commands and export are the page's."""

    def __init__(
        self,
        services: Services,
        open_chat: Callable[[str], None],
        run: Callable[[str], None],
        export: Callable[[str], None],
    ) -> None:
        super().__init__()
        self.setObjectName("chats")
        self.setAccessibleName("Chat list")
        self._services = services
        self._open = open_chat
        self._export = export
        layout = column(self)
        head = Head(left=12, right=8, spacing=2, has_line=False)
        self._title = label("Chat", "heading")
        self.trash_button = icon_button(
            "archive", "chats.trash", "Show Trash", lambda: run("chat.trash.show"), checkable=True
        )
        head.add(self._title, None, self.trash_button,
            command_button("chat.new", "chats.new", lambda: run("chat.new")),
        )  # fmt: skip
        layout.addWidget(head)
        search_box = row(margins=(10, 0, 10, 4))
        self.search = search_field("Search chats", "chats.search", spoken(BY_ID["chat.search"].shortcut))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._services.chats.search)
        self.search.returnPressed.connect(self._open_first)
        search_box.addWidget(self.search)
        layout.addLayout(search_box)
        self.list = ChatList()
        self.list.opened.connect(self._open)
        self.list.trashed.connect(self._trash_or_restore)
        self.list.reached_end.connect(self._services.chats.load_more)
        self.list.rows.renamed.connect(self._services.chats.rename)
        self.list.customContextMenuRequested.connect(self._list_menu)
        layout.addWidget(self.list, 1)
        self.list_empty = label("", "small", "tertiary", wraps=True, name="chats.empty")
        self.list_empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.list_empty.setContentsMargins(28, 0, 28, 60)
        layout.addWidget(self.list_empty, 1)

    def show_chats(self) -> None:
        """Show what the view-model has."""
        chats = self._services.chats
        if (open_row := chats.find(self._services.chat.conversation_id)) is not None:
            self._services.chat.take_row(open_row.title, open_row.is_pinned, open_row.is_private)
        self.list.rows.show_rows(chats.rows)
        self.list.select(self._services.chat.conversation_id)
        is_empty = not chats.rows
        self.list.setVisible(not is_empty)
        self.list_empty.setVisible(is_empty)
        self.list_empty.setText(
            ""
            if not chats.is_loaded
            else f"Nothing matches “{chats.query}”."
            if chats.query
            else "The Trash is empty."
            if chats.is_trash
            else "Your chats appear here. They stay on this computer."
        )
        self._title.setText("Trash" if chats.is_trash else "Chat")
        self.trash_button.setChecked(chats.is_trash)
        self.trash_button.setAccessibleName("Back to the chats" if chats.is_trash else "Show Trash")
        self.trash_button.setToolTip(self.trash_button.accessibleName())

    def _open_first(self) -> None:
        first = next((found.id for found in self._services.chats.rows if found.id), "")
        if first:
            self._open(first)

    def _list_menu(self, at: QPoint) -> None:
        index = self.list.indexAt(at)
        if not index.isValid() or not (found := self.list.rows.rows[index.row()]).id:
            return
        self.list.setCurrentIndex(index)
        menu = QMenu(self)
        menu.setObjectName("chats.menu")
        chats = self._services.chats
        if chats.is_trash:
            menu.addAction(icon("undo-2"), "Restore", lambda: chats.restore(found.id))
        else:
            menu.addAction(icon("pencil"), "Rename  F2", self.list.rename_current)
            pinned = found.conversation is not None and found.conversation.is_pinned
            menu.addAction(icon("pin"), "Unpin" if pinned else "Pin", lambda: chats.toggle_pin(found.id))
            private = menu.addAction(
                icon("lock"), "Keep on this computer", lambda: chats.toggle_private(found.id)
            )
            private.setCheckable(True)
            private.setChecked(found.conversation is not None and found.conversation.is_private)
            private.setToolTip("Nothing of this chat leaves this computer, whatever route is chosen")
            menu.addAction(icon("download"), "Export…", lambda: self._export(found.id))
            menu.addSeparator()
            menu.addAction(icon("trash-2"), "Move to Trash  Del", lambda: chats.trash(found.id))
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.list.viewport().mapToGlobal(at))

    def _trash_or_restore(self, conversation_id: str) -> None:
        chats = self._services.chats
        if chats.is_trash:
            chats.restore(conversation_id)
        else:
            chats.trash(conversation_id)
