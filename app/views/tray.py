"""The tray icon: the state by shape, and a menu of what is wanted while the window is away. Changes only with facts."""

from collections.abc import Callable
from typing import Optional

from PySide6.QtCore import QObject, QPointF, QRectF, Qt
from PySide6.QtGui import QAction, QGuiApplication, QIcon, QPainter, QPen
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from app.commands import BY_ID
from app.theme.apply import look
from app.theme.icons import app_mark, blank, icon
from app.views.parts import bind, native_keys
from app.views.services import Services
from app.views.shell import Shell

SIZES = (22, 32, 44, 64)
RECENT = 5


def tray_icon(state: str) -> QIcon:
    """The mark with a shape at the lower right: `ready` none, `working` a circle, `fault` a cross."""
    made = QIcon()
    for size in SIZES:
        canvas = blank(size, 1.0)
        painter = QPainter(canvas)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.drawPixmap(QPointF(0, 0), app_mark("text.primary", size, 1.0))
        unit = size / 22
        if state == "working":
            painter.setPen(QPen(look().colour("bg.rail"), 1.5 * unit))
            painter.setBrush(look().colour("accent.fill"))
            painter.drawEllipse(QRectF(12.5 * unit, 12.5 * unit, 9 * unit, 9 * unit))
        elif state == "fault":
            painter.setPen(QPen(look().colour("err.mark"), 2.6 * unit))
            painter.drawLine(QPointF(14 * unit, 14 * unit), QPointF(21 * unit, 21 * unit))
            painter.drawLine(QPointF(21 * unit, 14 * unit), QPointF(14 * unit, 21 * unit))
        painter.end()
        made.addPixmap(canvas)
    return made


class Tray(QObject):
    """One per window; None where the desktop has no tray."""

    @classmethod
    def create(cls, window: Shell, services: Services) -> Optional["Tray"]:
        """The tray icon, or None where there is no tray to put it in."""
        if not QSystemTrayIcon.isSystemTrayAvailable():
            return None
        return cls(window, services)

    def __init__(self, window: Shell, services: Services) -> None:
        super().__init__(window)
        self.setObjectName("tray")
        self._window = window
        self._services = services
        self._state = ""
        self._target = ""
        self.menu = QMenu()
        self.menu.setObjectName("tray.menu")
        self.item = QSystemTrayIcon(self)
        self.item.setObjectName("tray.icon")
        self.item.setContextMenu(self.menu)
        self.item.activated.connect(self._activated)
        self.item.messageClicked.connect(self._open_target)
        self.menu.aboutToShow.connect(self._fill)
        services.status.changed.connect(self._update)
        services.chat.state_changed.connect(self._update)
        look().theme_changed.connect(self._redraw)
        self._fill()
        self._update()
        self.item.show()

    def notify(self, title: str, words: str, conversation_id: str = "") -> None:
        """A desktop notification; a click on it opens the chat."""
        self._target = conversation_id
        self.item.showMessage(title, words, tray_icon("ready"), 10_000)

    def stop(self) -> None:
        """Take the icon away."""
        self.item.hide()
        self.menu.deleteLater()

    def status_line(self) -> str:
        """What the first line of the menu says."""
        words = self._services.status.words
        if self._services.bridge.problem:
            return "Engine stopped"
        state = "Answering" if self._services.chat.is_running else words.engine
        model = f", {words.model}" if words.model else ""
        return f"{state}{model}"

    def _fill(self) -> None:
        self.menu.clear()
        line = self.menu.addAction(self.status_line())
        line.setEnabled(False)
        self.menu.addSeparator()
        self._add("Open Workbench", self._window.raise_up)
        self._command("chat.new")
        self.menu.addSeparator()
        loaded = [row.name for row in self._services.models.all_rows if row.is_loaded]
        if not loaded and self._services.status.words.model:
            loaded = [self._services.status.words.model]
        if loaded:
            models = self.menu.addMenu(icon("box"), f"{loaded[0]}, loaded")
            for name in loaded:
                models.addAction(f"Unload {name}", lambda what=name: self._services.models.unload(what))
        self._fill_mcp()
        recent = [found for found in self._services.chats.found if not self._services.chats.query][:RECENT]
        if recent:
            chats = self.menu.addMenu(icon("history"), "Recent chats")
            for found in recent:
                chats.addAction(found.title or "New chat", lambda what=found.id: self._open(what))
        self.menu.addSeparator()
        self._command("page.settings")
        self._command("app.quit")

    def _fill_mcp(self) -> None:
        mcp = self._services.mcp
        menu = self.menu.addMenu(icon("pause" if mcp.is_paused else "plug"), mcp.words)
        menu.setObjectName("tray.mcp")
        copy = menu.addAction(
            icon("copy"), "Copy address", lambda: QGuiApplication.clipboard().setText(mcp.url)
        )
        copy.setEnabled(bool(mcp.url))
        verb = "Go on" if mcp.is_paused else "Pause"
        menu.addAction(verb, lambda: mcp.set_paused(not mcp.is_paused))
        if mcp.waiting:
            menu.addAction(icon("shield-alert"), "Calls that wait for you…", self._show_approvals)

    def _show_approvals(self) -> None:
        self._window.raise_up()
        show = getattr(self._window, "show_approvals", None)
        if callable(show):
            show()

    def _add(self, title: str, run: Callable[[], object]) -> QAction:
        made = self.menu.addAction(title)
        made.triggered.connect(bind(run))
        return made

    def _command(self, command_id: str) -> None:
        command = BY_ID[command_id]

        def run() -> None:
            if command_id != "app.quit":
                self._window.raise_up()
            self._services.commands.run(command_id)

        made = self._add(command.title, run)
        if command.icon and command_id != "app.quit":
            made.setIcon(icon(command.icon))
        made.setShortcut(native_keys(command.shortcut))
        made.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)  # shown here, taken by the window

    def _open(self, conversation_id: str) -> None:
        self._window.raise_up()
        self._window.open_chat(conversation_id)

    def _open_target(self) -> None:
        if self._target:
            self._open(self._target)

    def _activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason in (QSystemTrayIcon.ActivationReason.Trigger, QSystemTrayIcon.ActivationReason.DoubleClick):
            if self._window.isVisible() and self._window.isActiveWindow():
                self._window.hide()
            else:
                self._window.raise_up()

    def _update(self) -> None:
        state = (
            "fault"
            if self._services.bridge.problem
            else "working"
            if self._services.chat.is_running
            else "ready"
        )
        if state != self._state:
            self._state = state
            self._redraw()
        self.item.setToolTip(f"Legion Workbench: {self.status_line()}")

    def _redraw(self) -> None:
        self.item.setIcon(tray_icon(self._state))
