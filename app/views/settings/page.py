# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The Settings page, drawn from the schema: groups left, rows right, a search that jumps to what it finds."""

from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QPersistentModelIndex,
    QRectF,
    QSize,
    Qt,
    QTimer,
)
from PySide6.QtGui import QKeySequence, QPainter, QShortcut
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QScrollArea,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from app.theme.apply import look
from app.theme.focus import has_keyboard_focus
from app.theme.icons import pixmap
from app.theme.paint import focus_ring, rounded, text
from app.viewmodels.access import AccessViewModel
from app.viewmodels.settings import ACCESS_GROUP, SECRETS_GROUP, SettingsViewModel
from app.views.appearance import Appearance
from app.views.frame import PageFrame
from app.views.links import open_file
from app.views.parts import (
    Head,
    bind,
    button,
    column,
    fill,
    focus_quietly,
    frame,
    label,
    line,
    row,
    search_field,
)
from app.views.services import Services
from app.views.settings.access import AccessSection
from app.views.settings.fields import FieldRow
from app.views.settings.secrets import SecretsSection
from app.widgets.switch import Switch

GROUP_ICONS = {
    "General": "sliders-horizontal", "Appearance": "palette", "Chat": "message-square", "Models": "box",
    "Routing": "route", "Curation": "scissors", "Tasks": "workflow", "Network": "globe", "Privacy": "shield-off", "Advanced": "wrench", "Storage": "hard-drive",
    "Secrets": "key-round", "Budget": "wallet", "Access": "shield-check",
}  # fmt: skip
COLUMN = 720
NAME_ROLE = Qt.ItemDataRole.UserRole + 1
Index = QModelIndex | QPersistentModelIndex


class Groups(QAbstractListModel):
    """The groups with how many settings of each match, or were changed."""

    def __init__(self, settings: SettingsViewModel) -> None:
        super().__init__()
        self._settings = settings
        self.names: tuple[str, ...] = ()

    def refresh(self) -> None:
        """Read them again."""
        names = self._settings.groups
        if names != self.names:
            self.beginResetModel()
            self.names = names
            self.endResetModel()
        elif names:
            self.dataChanged.emit(self.index(0), self.index(len(names) - 1))

    def number(self, name: str) -> int:
        """What stands at the right of a group."""
        return self._settings.hits(name) if self._settings.query else self._settings.changed_count(name)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.names)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        name = self.names[index.row()]
        if role in (Qt.ItemDataRole.DisplayRole, NAME_ROLE):
            return name
        if role == Qt.ItemDataRole.AccessibleTextRole:
            number = self.number(name)
            what = "found" if self._settings.query else "changed"
            return f"{name}, {number} {what}" if number else name
        return None


class GroupDelegate(QStyledItemDelegate):
    """Icon, name, number."""

    def __init__(self, groups: Groups, parent: QWidget) -> None:
        super().__init__(parent)
        self._groups = groups

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(100, look().px(28))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        name = str(index.data(NAME_ROLE))
        state: QStyle.StateFlag = option.state
        box = QRectF(option.rect).adjusted(6, 0, -6, 0)
        if state & QStyle.StateFlag.State_Selected:
            rounded(painter, box, 5, fill="bg.selected")
        elif state & QStyle.StateFlag.State_MouseOver:
            rounded(painter, box, 5, fill="bg.hover")
        dpr = painter.device().devicePixelRatioF()
        glyph = pixmap(GROUP_ICONS.get(name, "settings-2"), "text.secondary", 15, dpr)
        painter.drawPixmap(round(box.left() + 8), round(box.center().y() - 7.5), glyph)
        text(painter, box.adjusted(31, 0, -34, 0), name)
        if number := self._groups.number(name):
            text(
                painter, box.adjusted(0, 0, -8, 0), str(number), "small", "text.tertiary",
                align=Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter,
            )  # fmt: skip
        if state & QStyle.StateFlag.State_HasFocus and has_keyboard_focus(option.widget):
            focus_ring(painter, box, 5, inside=True)


class SettingsPage(PageFrame):
    """`jump(key)` shows a setting and lets it glow once."""

    def __init__(self, services: Services, appearance: Appearance) -> None:
        self._services = services
        self._appearance = appearance
        self._settings = services.settings
        self._access = AccessViewModel(services.bridge)
        self._rows: dict[str, FieldRow] = {}
        self._sections: dict[str, QWidget] = {}
        self._wanted = ""
        main = self._make_main()
        side = self._make_side()
        super().__init__("settings", main, side, None, side_width=216)
        settings = services.settings
        settings.changed.connect(self._rebuild)
        settings.value_changed.connect(self._value_changed)
        settings.undo_changed.connect(self._say_head)
        self._undo_key = QShortcut(QKeySequence(QKeySequence.StandardKey.Undo), self)
        self._undo_key.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        self._undo_key.activated.connect(settings.undo)
        self._rebuild()

    # The second column

    def _make_side(self) -> QWidget:
        side = QWidget()
        side.setObjectName("settings.groups")
        side.setAccessibleName("Groups of settings")
        layout = column(side)
        self._side_head = Head(left=12, right=8, has_line=False)
        self._side_head.add(label("Settings", "heading"), None)
        layout.addWidget(self._side_head)
        box = row(margins=(10, 0, 10, 8))
        self.search = search_field("Search settings", "settings.search", "Ctrl F")
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._search)
        self.search.returnPressed.connect(self._jump_first)
        box.addWidget(self.search)
        layout.addLayout(box)
        self.groups = Groups(self._settings)
        self.list = QListView()
        self.list.setObjectName("settings.list")
        self.list.setAccessibleName("Groups of settings")
        self.list.setModel(self.groups)
        self.list.setItemDelegate(GroupDelegate(self.groups, self.list))
        self.list.setMouseTracking(True)
        self.list.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.selectionModel().currentChanged.connect(self._show_group)
        layout.addWidget(self.list, 1)
        layout.addWidget(line("lineNormal"))
        foot = row(margins=(12, 10, 12, 10), spacing=8)
        words = label("Show all settings", "small", "secondary")
        self.full = Switch("Show all settings")
        self.full.setObjectName("settings.full")
        self.full.setAccessibleName("Show all settings")
        self.full.setToolTip("Show every setting, not only the common ones")
        self.full.toggled.connect(self._settings.show_full)
        fill(foot, words, None, self.full)
        layout.addLayout(foot)
        return side

    def _show_group(self, index: QModelIndex, _: QModelIndex) -> None:
        if index.isValid():
            name = self.groups.names[index.row()]
            self._wanted = name
            self._say_head()
            # Looked up when it is time: the rows may be made anew before.
            QTimer.singleShot(0, self, lambda: self._scroll_to(name))

    def _search(self, words: str) -> None:
        self._settings.search(words)
        if words.strip():
            self._jump_first()

    def _jump_first(self) -> None:
        first = next(iter(self._settings.shown()), None)
        if first is not None and self._settings.query:
            self._reveal(first.key)

    # The main area

    def _make_main(self) -> QWidget:
        main = frame("page", "settings.main")
        main.setAccessibleName("Settings")
        layout = column(main)
        self._head = Head(left=16, right=12, spacing=8)
        self.head_title = label("General", "heading")
        self.head_words = label("", "small", "tertiary")
        self.undo = button(
            "Undo",
            "settings.undo",
            self._settings.undo,
            icon="undo-2",
            kind="ghost",
            small=True,
            tip="Take the last change back  Ctrl Z",
        )
        self.file = button(
            "config.toml",
            "settings.file",
            self._open_file,
            icon="file-code",
            kind="ghost",
            small=True,
            tip="Open the file",
        )
        self._head.add(self.head_title, self.head_words, None, self.undo, self.file)
        layout.addWidget(self._head)
        self.area = QScrollArea()
        self.area.setObjectName("settings.scroll")
        self.area.setAccessibleName("Settings")
        self.area.setWidgetResizable(True)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.verticalScrollBar().valueChanged.connect(bind(self._follow_scroll))
        layout.addWidget(self.area, 1)
        return main

    def _rebuild(self) -> None:
        self.groups.refresh()
        self._rows.clear()
        self._sections.clear()
        body = frame("scrolled")
        outer = row(body, (12, 0, 12, 0))
        inner = QWidget()
        inner.setMaximumWidth(COLUMN)
        layout = column(inner, (0, 8, 0, 48))
        fill(layout, *self._faults())
        shown = self._settings.shown()
        for group in self.groups.names:
            rows = [found for found in shown if found.group == group]
            if not rows and (group not in (SECRETS_GROUP, ACCESS_GROUP) or self._settings.query):
                continue
            title = label(group, "heading")
            title.setContentsMargins(12, 16, 12, 2)
            self._sections[group] = title
            layout.addWidget(title)
            for found in rows:
                made = self._rows[found.key] = FieldRow(self._settings, found.key)
                layout.addWidget(made)
            if group == SECRETS_GROUP:
                layout.addWidget(SecretsSection(self._settings))
            if group == ACCESS_GROUP:
                layout.addWidget(AccessSection(self._access))
        if not self._sections:
            layout.addWidget(label(f"Nothing matches “{self._settings.query}”.", "", "tertiary"))
        layout.addStretch(1)
        outer.addStretch(1)
        outer.addWidget(inner, 1000)
        outer.addStretch(1)
        self.area.setWidget(body)
        if self._wanted not in self.groups.names and self.groups.names:
            self._wanted = self.groups.names[0]
        if self._wanted in self.groups.names and not self._settings.query:
            self.list.setCurrentIndex(self.groups.index(self.groups.names.index(self._wanted)))
        self._say_head()

    def _faults(self) -> list[QWidget]:
        faults = self._settings.faults
        if not faults:
            return []
        card = frame("card", "settings.faults")
        card.setProperty("error", True)
        words = column(card, (14, 10, 14, 10), 4)
        fill(
            words,
            label(
                "The configuration file has faults. The last good one stays in force.", "uiStrong", wraps=True
            ),
        )
        for fault in faults:
            words.addWidget(label(fault, "small", "error", wraps=True, selectable=True))
        card.setAccessibleName("Faults: " + "; ".join(faults))
        return [card]

    def _say_head(self) -> None:
        name = self._wanted or "Settings"
        self.head_title.setText("Search" if self._settings.query else name)
        if self._settings.query:
            hits = len(self._settings.shown())
            self.head_words.setText(f"{hits} found" if hits else "nothing found")
        else:
            number = self._settings.changed_count()
            self.head_words.setText(f"{number} changed from the default" if number else "")
        self.undo.setEnabled(self._settings.can_undo)
        self.file.setToolTip(self._settings.path or "Open the file")

    def _value_changed(self, key: str) -> None:
        if key in self._rows:
            self._rows[key].show_value()
        self.groups.refresh()
        self._say_head()

    # Finding

    def jump(self, key: str) -> None:
        """Show a setting, whatever group or level it is of, and let it glow."""
        found = self._settings.row(key)
        if found is None:
            return
        if self.search.text():
            self.search.clear()
        if found.level == "full" and not self.full.isChecked():
            self.full.setChecked(True)
        self._wanted = found.group
        QTimer.singleShot(0, self, lambda: self._reveal(key, takes_focus=True))

    def _reveal(self, key: str, *, takes_focus: bool = False) -> None:
        made = self._rows.get(key)
        if made is None:
            return
        self.area.ensureWidgetVisible(made, 0, 80)
        made.pulse()
        if takes_focus:
            made.control.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def find_here(self) -> None:
        """Search in this page."""
        if not self.is_side_shown:
            self.toggle_side()
        self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search.selectAll()

    def take_focus(self, reason: Qt.FocusReason = Qt.FocusReason.OtherFocusReason) -> None:
        """The list of groups has the focus."""
        focus_quietly(self.list, reason)

    def _scroll_to(self, name: str) -> None:
        body, section = self.area.widget(), self._sections.get(name)
        if body is not None and section is not None and section.isVisibleTo(body):
            top = section.mapTo(body, section.rect().topLeft()).y()
            self.area.verticalScrollBar().setValue(max(0, top - 4))

    def _follow_scroll(self) -> None:
        body = self.area.widget()
        if body is None or self._settings.query:
            return
        bar = self.area.verticalScrollBar()
        tops = {
            name: section.mapTo(body, section.rect().topLeft()).y()
            for name, section in self._sections.items()
        }
        passed = [name for name, top in tops.items() if top <= bar.value() + 40]
        current = passed[-1] if passed else ""
        # At the end a short section cannot come to the top: the one that was asked for counts, if it is seen.
        if bar.value() == bar.maximum() and tops.get(self._wanted, -1) >= bar.value():
            current = self._wanted
        if current and current != self.head_title.text():
            self.head_title.setText(current)

    def _open_file(self) -> None:
        open_file(self._settings.path)
