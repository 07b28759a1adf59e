"""What the window says unasked: notices at the bottom, banners at the top, and desktop notifications."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QGuiApplication

from app.viewmodels import wording
from app.views.parts import taking
from app.views.ports import free_port
from app.views.services import Services
from app.views.shell import Shell
from app.widgets.toast import Toast

if TYPE_CHECKING:
    from app.views.tray import Tray

KEYS, NAMED_MAX = "keys", 3
NOTIFY_AFTER_S = 20.0  # an answer that took longer is worth a notification
TRAY_EXPLAINED = "tray/explained"
TRAY_HIDES = "tray/hides"


class Notices(QObject):
    """Owned by the window. Everything that may interrupt a person goes through here, so that it is one at a time."""

    def __init__(self, window: Shell, services: Services) -> None:
        super().__init__(window)
        self.setObjectName("notices")
        self._window = window
        self._services = services
        self.toast = Toast(window)
        self.tray: Tray | None = None
        self._node: Any = None
        services.bridge.refused.connect(taking(str, lambda sentence: self.tell(sentence, icon="circle-x")))
        services.chats.trashed.connect(self._on_trashed)
        services.models.removed.connect(self._on_removed)
        services.models.imported.connect(
            taking(str, lambda name: self.tell(f"Imported {name}", icon="circle-check"))
        )
        services.providers.saved.connect(
            taking(str, lambda name: self.tell(f"Added {name}", icon="circle-check"))
        )
        services.providers.removed.connect(
            taking(str, lambda name: self.tell(f"Removed {name}", icon="trash-2"))
        )
        services.chat.ended.connect(self._on_ended)
        services.mcp.chat_asked.connect(self._on_asked)
        services.settings.changed.connect(self._show_faults)
        services.providers.changed.connect(self._keys_found)

    # Notices

    def tell(self, words: str, *, icon: str = "info", undo: Callable[[], None] | None = None) -> None:
        """One sentence at the bottom of the window, with Undo where it can be undone."""
        self.toast.tell(words, icon=icon, undo=undo)

    def place(self) -> None:
        """The window has another size."""
        self.toast.place()

    def _on_removed(self, name: str, freed_bytes: int) -> None:
        self.tell(f"Removed {name}, {wording.size(freed_bytes)} freed", icon="trash-2")

    def _on_trashed(self, conversation_id: str, title: str) -> None:
        chats = self._services.chats
        self.tell(
            f"Moved “{title or 'New chat'}” to Trash",
            icon="trash-2",
            undo=lambda: chats.restore(conversation_id),
        )

    # Notifications

    def _on_ended(self, message: Any) -> None:
        is_in_front = QGuiApplication.applicationState() == Qt.ApplicationState.ApplicationActive
        if is_in_front or self.tray is None or (message.duration_s or 0.0) < NOTIFY_AFTER_S:
            return
        title = self._services.chats.title_of(message.conversation_id) or "Answer finished"
        if message.status == "failed":
            self.tray.notify(title, message.error, message.conversation_id)
        else:
            self.tray.notify(
                title, f"Answered in {wording.duration(message.duration_s)}: {wording.title_of(message.text, 90)}",
                message.conversation_id,
            )  # fmt: skip

    def _on_asked(self, call: Any) -> None:
        is_in_front = QGuiApplication.applicationState() == Qt.ApplicationState.ApplicationActive
        if is_in_front or self.tray is None:
            return
        title = self._services.chats.title_of(call.conversation_id) or "A chat waits for you"
        self.tray.notify(
            title, f"Call {call.title or call.tool}? It waits for your yes.", call.conversation_id
        )

    # Banners

    def engine_started(self, node: Any) -> None:
        """The engine runs; say what is wrong with its address, if anything is."""
        self._node = node
        self._window.banner.clear("engine")
        self._show_problem()
        self._look_for_keys()

    def engine_failed(self, sentence: str) -> None:
        """There is no engine: say why and what can be done."""
        self._window.banner.tell(
            "engine", sentence, "err",
            (("settings", "Open Settings", lambda: _ignore(self._window.go("settings"))), ("quit", "Quit", self._window.ask_quit)),
        )  # fmt: skip

    def _show_problem(self) -> None:
        error = getattr(self._node, "problem", None)
        problem = error.sentence() if error is not None else ""
        if not problem:
            self._window.banner.clear("address")
            return
        self._window.banner.tell(
            "address", f"{problem} Chats work; other programs cannot reach the workbench.", "warn",
            (("freePort", "Use a free port", self._use_free_port),),
        )  # fmt: skip

    def _look_for_keys(self) -> None:
        """Say at once whose key cannot be had: else a nearer model answers, and nobody knows why."""

        def done(shut: Sequence[Any]) -> None:
            if not shut or self._window.banner.isVisible():
                return
            names = [row.name for row in shut]
            named = (
                names
                if len(names) <= NAMED_MAX
                else [*names[: NAMED_MAX - 1], f"{len(names) - NAMED_MAX + 1} more"]
            )
            said = " and ".join([", ".join(named[:-1]), named[-1]]) if len(named) > 1 else named[0]
            why = shut[0].problem.partition(". ")[0].rstrip(".")
            self._window.banner.tell(
                KEYS, f"{said} cannot be asked: {why[:1].lower()}{why[1:]}.", "warn",
                (("keys", "Show", lambda: self._show_provider(names[0])),),
            )  # fmt: skip

        self._services.providers.find_shut(done)

    def _show_provider(self, name: str) -> None:
        page: Any = self._window.go("models")
        page.choose_provider(name)

    def _keys_found(self) -> None:
        if not any(row.has_key and row.problem for row in self._services.providers.rows):
            self._window.banner.clear(KEYS)

    def _use_free_port(self) -> None:
        def done(url: str) -> None:
            self._show_problem()
            self.tell(f"Other programs reach the workbench at {url}", icon="circle-check")

        self._services.status.serve_at(free_port(), self._node, done)

    def _show_faults(self) -> None:
        faults = self._services.settings.faults
        if len(faults) == 0:
            self._window.banner.clear("faults")
            return
        more = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
        self._window.banner.tell(
            "faults", f"The configuration has a fault: {faults[0]}{more} The last good one stays in force.", "warn",
            (("faults", "Show in Settings", lambda: _ignore(self._window.go("settings"))),),
        )  # fmt: skip

    # Closing

    def start_tray(self) -> None:
        """Make the tray icon where the desktop has a tray."""
        from app.views.tray import Tray

        self.tray = Tray.create(self._window, self._services)
        self._window.has_tray = self.tray is not None

    def close_asked(self) -> None:
        """The window's close button: by the person's choice, which is asked for once."""
        store = self._services.store
        if self.tray is None:
            self._close_without_tray()
            return
        if not store.flag(TRAY_EXPLAINED):
            from app.views.about import ask_closing

            keeps = ask_closing(self._window)
            if keeps is None:
                return
            store.set_flag(TRAY_EXPLAINED, True)
            store.set_flag(TRAY_HIDES, keeps)
        if store.flag(TRAY_HIDES):
            self._window.hide()
            self._window.hidden_to_tray.emit()
        else:
            self._window.ask_quit()

    def _close_without_tray(self) -> None:
        store = self._services.store
        if not store.flag("tray/noneExplained"):
            store.set_flag("tray/noneExplained", True)
            self._window.banner.tell(
                "tray", "This desktop has no tray, so the window was minimised and the engine runs on. Quit ends both.",
                "neutral", (("quit", "Quit", self._window.ask_quit),),
            )  # fmt: skip
        self._window.showMinimized()

    def stop(self) -> None:
        """The end: nothing is said any more."""
        self.toast.hide()
        if self.tray is not None:
            self.tray.stop()
            self.tray = None


def _ignore(_: object) -> None:
    return None
