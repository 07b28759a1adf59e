# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The window: rail, pages built on first visit, status strip; what it remembers, and what closing it means."""

from collections.abc import Callable

from PySide6.QtCore import QEvent, QRect, QSize, Qt, SignalInstance
from PySide6.QtGui import QAction, QCloseEvent, QGuiApplication, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QApplication, QDialog, QFrame, QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from app.commands import BUILT_PAGES, COMMANDS, PAGES, page_key
from app.theme.apply import look
from app.theme.icons import app_icon
from app.viewmodels.wording import plural
from app.views.appearance import Appearance
from app.views.banner import Banner
from app.views.chat.page import ChatPage
from app.views.frame import PageFrame
from app.views.notices import Notices
from app.views.parts import bind, column, frame, native_keys, row
from app.views.rail import Rail
from app.views.services import Services
from app.views.shell import Shell
from app.views.strip import Strip

TITLE = "Legion Workbench"
TITLE_BAR = 36  # the tallest of the usual desktops, in px
TITLE_BAR_MAX = 64
SIZE, SIZE_MIN = QSize(1280, 800), QSize(900, 560)


class MainWindow(Shell):
    """The one window. `quit_asked` and `painted` are for the bootstrap."""

    def __init__(self, services: Services) -> None:
        super().__init__()
        self.setObjectName("window")
        self.setWindowTitle(TITLE)
        self.setWindowIcon(app_icon())
        self.setMinimumSize(SIZE_MIN)
        self.services = services
        self.has_tray = False
        self._was_painted = self._was_left = False
        self._is_quitting = False
        self._quit_question: QDialog | None = None
        self.pages: dict[str, PageFrame] = {}
        self.page = ""
        outer: QHBoxLayout = row(self)
        self.rail = Rail(self.go)
        outer.addWidget(self.rail)
        right: QVBoxLayout = column()
        outer.addLayout(right, 1)
        self.banner = Banner()
        self.stack = QStackedWidget()
        self.stack.setObjectName("pages")
        self.strip = Strip()
        right.addWidget(self.banner)
        right.addWidget(self.stack, 1)
        right.addWidget(self.strip)
        for name, title, icon in PAGES:
            if name in BUILT_PAGES:
                self.rail.add(name, title, icon, page_key(name))
        self.rail.add("settings", "Settings", "settings", page_key("settings"), at_bottom=True)
        self._factories: dict[str, Callable[[], PageFrame]] = {
            "chat": lambda: ChatPage(services),
            "models": self._make_models,
            "routing": self._make_routing,
            "chains": self._make_chains,
            "settings": self._make_settings,
            "activity": self._make_activity,
            "schedules": self._make_schedules,
            "connect": self._make_connect,
        }
        self.appearance = Appearance(services)
        self.notices = Notices(self, services)
        self.overlay: QWidget | None = None
        self._approval: QDialog | None = None
        self._fill_strip()
        self._bind()
        self._make_shortcuts()
        self._restore()
        self.go("chat")

    # Pages

    def go(self, page: str) -> PageFrame:
        """Show a page, building it on its first visit, and give it the focus."""
        if page not in self.pages:
            made = self._factories[page]()
            made.restore(self.services.store.numbers(f"panes/{page}"))
            self.pages[page] = made
            self.stack.addWidget(made)
        self.page = page
        found = self.pages[page]
        self.stack.setCurrentWidget(found)
        self.rail.choose(page)
        self.services.store.set_text("page", page)
        self._name_window()
        take = getattr(found, "take_focus", None)
        if callable(take):
            take()
        return found

    def _name_window(self) -> None:
        """Say in the title what is shown: the chat by its own name, another page by its word."""
        chat, names = self.services.chat, {name: title for name, title, _ in PAGES}
        if self.page == "chat":
            shown = "" if chat.is_new else chat.title
        else:
            shown = names.get(self.page, "Settings") if self.page else ""
        self.setWindowTitle(f"{TITLE} – {shown}" if shown else TITLE)

    @property
    def current(self) -> PageFrame:
        """The page that is shown."""
        return self.pages[self.page]

    @property
    def chat_page(self) -> ChatPage:
        """The chat page, built if need be."""
        if "chat" not in self.pages:
            self.go("chat")
        page = self.pages["chat"]
        assert isinstance(page, ChatPage)
        return page

    def open_chat(self, conversation_id: str) -> None:
        """Show a chat on the chat page."""
        self.go("chat")
        self.chat_page.open(conversation_id)

    def show_task(self, task_id: str) -> None:
        """Look at a task on the Activity page."""
        show = getattr(self.go("activity"), "show_task", None)
        if callable(show):
            show(task_id)

    def _make_models(self) -> PageFrame:
        from app.views.models.page import ModelsPage

        return ModelsPage(self.services, self.go)

    def _make_schedules(self) -> PageFrame:
        from app.views.schedules.page import SchedulesPage

        return SchedulesPage(self.services, self.show_task, self.notices.tell)

    def _make_connect(self) -> PageFrame:
        from app.views.connect.page import ConnectPage

        return ConnectPage(self.services, self.notices.tell)

    def _make_activity(self) -> PageFrame:
        from app.views.activity.page import ActivityPage

        return ActivityPage(self.services, self.open_chat, self.notices.tell)

    def _make_routing(self) -> PageFrame:
        from app.views.routing.page import RoutingPage

        return RoutingPage(self.services, self.go)

    def _make_chains(self) -> PageFrame:
        from app.views.chains.page import ChainsPage

        return ChainsPage(self.services)

    def _make_settings(self) -> PageFrame:
        from app.views.settings.page import SettingsPage

        return SettingsPage(self.services, self.appearance)

    # Commands

    def _bind(self) -> None:
        commands, chat = self.services.commands, self.services.chat
        commands.conditions.update(
            {
                "always": lambda: True,
                "engine": lambda: self.services.bridge.legion is not None,
                "chat": lambda: bool(chat.conversation_id),
                "running": lambda: chat.is_running,
                "answer": lambda: chat.last_answer is not None,
            }
        )
        for name in (*BUILT_PAGES, "settings"):
            commands.bind(f"page.{name}", lambda page=name: self._go(page))
        chat.state_changed.connect(self._name_window)
        self._bind_chat()
        commands.bind("palette.open", self.open_palette)
        commands.bind("side.toggle", lambda: self.current.toggle_side())
        commands.bind("inspector.toggle", lambda: self.current.toggle_inspector())
        commands.bind("pane.next", lambda: self.cycle_panes(1))
        commands.bind("pane.previous", lambda: self.cycle_panes(-1))
        for verb in ("import", "discover", "providers", "engines", "unload"):
            commands.bind(f"models.{verb}", lambda to=verb: self._models(to))
        for verb in ("new", "runNow", "history"):
            commands.bind(f"schedules.{verb}", lambda to=verb: self._run_on("schedules", to))
        for verb in ("failed", "unrun", "slow", "export", "live"):
            commands.bind(f"activity.{verb}", lambda to=verb: self._run_on("activity", to))
        for verb in ("try", "spend", "policies"):
            commands.bind(f"routing.{verb}", lambda to=verb: self._routing(to))
        for verb in ("new", "run", "dry", "list", "text", "graph", "import", "export"):
            commands.bind(f"chains.{verb}", lambda to=verb: self._run_on("chains", to))
        for verb in ("serve", "add", "api", "network"):
            commands.bind(f"connect.{verb}", lambda to=verb: self._run_on("connect", to))
        mcp = self.services.mcp
        commands.bind("connect.pause", lambda: mcp.set_paused(not mcp.is_paused))
        mcp.changed.connect(self._say_mcp)
        mcp.asked.connect(self.show_approvals)
        for theme in ("light", "dark", "highContrast", "system"):
            commands.bind(f"theme.{theme}", lambda to=theme: self.appearance.set_theme(to))
        commands.bind("text.larger", lambda: self.appearance.step_scale(1))
        commands.bind("text.smaller", lambda: self.appearance.step_scale(-1))
        commands.bind("text.reset", lambda: self.appearance.set_scale(1.0))
        commands.bind("help.shortcuts", self.open_shortcuts)
        commands.bind("help.wizard", self.open_wizard)
        commands.bind("help.about", self.open_about)
        commands.bind("window.close", self.close_window)
        commands.bind("app.quit", self.ask_quit)

    def _bind_chat(self) -> None:
        commands = self.services.commands
        for command in COMMANDS:
            subject, _, _verb = command.id.partition(".")
            if subject in ("chat", "answer", "question"):
                commands.bind(command.id, lambda what=command.id: self._chat(what))

    def _go(self, page: str) -> None:
        self.close_overlay()
        self.go(page)

    def _chat(self, command_id: str) -> None:
        self.close_overlay()
        if command_id == "chat.find" and self.page != "chat":
            # The same keys find in the page that is shown.
            find = getattr(self.current, "find_here", None)
            if callable(find):
                find()
            return
        if self.page != "chat":
            self.go("chat")
        self.chat_page.run(command_id)

    def _models(self, verb: str) -> None:
        self._run_on("models", verb)

    def _run_on(self, name: str, verb: str) -> None:
        self.close_overlay()
        page = self.go(name)
        run = getattr(page, "run", None)
        if callable(run):
            run(verb)

    def _routing(self, verb: str) -> None:
        self.close_overlay()
        page = self.go("routing")
        run = getattr(page, "run", None)
        if callable(run):
            run(verb)

    def _make_shortcuts(self) -> None:
        # Actions, not QShortcuts: they can be listed, and a menu may show them.
        for command in COMMANDS:
            if not command.shortcut:
                continue
            action = QAction(command.title, self)
            action.setObjectName(f"command.{command.id}")
            action.setShortcut(native_keys(command.shortcut))
            action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
            action.triggered.connect(bind(self.services.commands.run, command.id))
            self.addAction(action)

    def cycle_panes(self, step: int) -> None:
        """Take the focus to the next region: rail, column, page, inspector, strip."""
        page = self.current
        panes: list[QWidget] = [self.rail]
        if page.side is not None and page.is_side_shown:
            panes.append(page.side)
        panes.append(page.main)
        if page.inspector is not None and page.is_inspector_shown:
            panes.append(page.inspector)
        panes.append(self.strip)
        focused = QApplication.focusWidget()
        place = next(
            (
                at
                for at, pane in enumerate(panes)
                if focused and (pane is focused or pane.isAncestorOf(focused))
            ),
            -1,
        )
        for turn in range(1, len(panes) + 1):
            if _focus_into(panes[(place + step * turn) % len(panes)], page):
                return

    # What lies over the window

    def open_palette(self) -> None:
        """Search everything."""
        from app.views.palette import Palette

        if isinstance(self.overlay, Palette):
            self.close_overlay()
            return
        self.show_overlay(Palette(self.services, self))

    def open_wizard(self) -> None:
        """The set-up in four screens."""
        from app.views.wizard import Wizard

        self.show_overlay(Wizard(self.services, self))

    def open_about(self) -> None:
        """Version and licences."""
        from app.views.about import show_about

        show_about(self, self.services)

    def open_shortcuts(self) -> None:
        """All keys on a sheet."""
        from app.views.about import show_shortcuts

        show_shortcuts(self)

    def show_overlay(self, overlay: QWidget) -> None:
        """Lay a child over the whole window; it closes itself by `close_overlay`."""
        self.close_overlay()
        self.overlay = overlay
        overlay.setParent(self)
        overlay.setGeometry(self.rect())
        overlay.show()
        overlay.raise_()
        overlay.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def close_overlay(self) -> None:
        """Take it away and give the focus back to the page."""
        overlay, self.overlay = self.overlay, None
        if overlay is not None:
            overlay.hide()
            overlay.deleteLater()
            take = getattr(self.current, "take_focus", None)
            if callable(take):
                take()

    def show_approvals(self) -> None:
        """Show the call that waits for a yes."""
        if self._approval is None:
            from app.views.approvals import ApprovalDialog

            self._approval = ApprovalDialog(self, self.services.mcp, self.services.now)
            self._approval.finished.connect(self._approval_over)
        show = getattr(self._approval, "show_next", None)
        if callable(show):
            show()

    def _approval_over(self, *_: object) -> None:
        approval, self._approval = self._approval, None
        if approval is not None:
            approval.deleteLater()

    # The strip

    def _fill_strip(self) -> None:
        self.strip.add("engine", "Engine", lambda: self._open_engines())
        self.strip.add("model", "Model that answers", lambda: self._go("models"))
        self.strip.add("speed", "Speed of the last answer", lambda: self._chat("answer.trace"))
        self.strip.add("context", "Context used by this chat", lambda: self._chat("answer.trace"))
        self.strip.add("spend", "Spent today", lambda: self._routing("spend"))
        self.strip.add("offline", "Network", lambda: self._run_on("connect", "network"), on_right=True)
        self.strip.add("clients", "Programs that use MCP", lambda: self._go("connect"), on_right=True)
        self.strip.add("approvals", "Calls that wait for you", self.show_approvals, on_right=True)
        self.services.status.changed.connect(self._say_status)
        self.services.settings.changed.connect(self._say_status)
        self._say_status()

    def _open_engines(self) -> None:
        self._models("engines")

    def _say_status(self) -> None:
        words, shown = self.services.status.words, self.strip.buttons
        shown["engine"].show_words(words.engine, dot=words.engine_dot, tip=words.engine_tip)
        shown["model"].show_words(words.model, tier=words.model_tier)
        shown["speed"].show_words(words.speed)
        shown["context"].show_words(words.context)
        shown["spend"].show_words(words.spend)
        is_offline = bool(self.services.settings.value("network.offline", False))
        tip = "Only this computer is contacted. Connect > Network takes it back"
        shown["offline"].show_words("Offline" if is_offline else "", icon="wifi-off", tip=tip)

    def _say_mcp(self) -> None:
        mcp, shown = self.services.mcp, self.strip.buttons
        clients = plural(mcp.clients, "client") if mcp.clients else ""
        shown["clients"].show_words(clients, icon="pause" if mcp.is_paused else "plug", tip=mcp.words)
        waiting = len(mcp.waiting)
        shown["approvals"].show_words(plural(waiting, "approval") if waiting else "", icon="bell")
        of_chats = sum(bool(each.conversation_id) for each in mcp.waiting)
        self.rail.buttons["chat"].set_count(of_chats)
        self.rail.buttons["connect"].set_count(waiting - of_chats)

    # Closing and remembering

    def close_window(self) -> None:
        """As the close button: to the tray where there is one, else by what the person chose."""
        self.close()

    def ask_quit(self) -> None:
        """Quit at once where nothing runs; else one question says what would stop, until nothing would."""
        loss = self._what_stops()
        if not loss:
            self.quit_asked.emit()
            return
        self.raise_up()
        if self._quit_question is not None:
            self._quit_question.activateWindow()
            return
        from app.views.question import Question

        question = Question(self, "Quit Legion Workbench?", loss, act="Quit", keep="Keep running")
        self._quit_question = question
        question.finished.connect(self._quit_answered)
        for something_ended in self._ends():
            something_ended.connect(self._quit_if_all_ended)
        # Not `exec`: a signal to end must be heard while it is open.
        question.open()

    def _what_stops(self) -> str:
        return what_stops(
            self.services.chat.answers_running,
            sum(found.is_active for found in self.services.models.downloads),
        )

    def _ends(self) -> tuple[SignalInstance, ...]:
        chat, models = self.services.chat, self.services.models
        return chat.ended, chat.state_changed, models.downloads_changed

    def _quit_if_all_ended(self) -> None:
        # Quitting was asked for, and what the question warned of can no longer be lost.
        if self._quit_question is not None and not self._what_stops():
            self._quit_question.accept()

    def _quit_answered(self, result: int) -> None:
        question, self._quit_question = self._quit_question, None
        if question is not None:
            for something_ended in self._ends():
                something_ended.disconnect(self._quit_if_all_ended)
            question.deleteLater()
        if result == QDialog.DialogCode.Accepted:
            self.quit_asked.emit()

    def prepare_quit(self) -> None:
        """From now on closing really closes."""
        self._is_quitting = True
        if self._quit_question is not None:
            self._quit_question.reject()

    def raise_up(self) -> None:
        """Come to the front, from the tray or from behind."""
        if self.isMinimized():
            self.showNormal()
        self.show()
        self.raise_()
        self.activateWindow()

    def remember(self) -> None:
        """Write what is to be found again at the next start."""
        store = self.services.store
        store.set_text("screen", "maximised" if self.isMaximized() else "")
        if not self.isMaximized() and not self.isMinimized():
            box = self.geometry()
            store.set_numbers(
                "geometry",
                {
                    "x": box.x(),
                    "y": box.y(),
                    "w": box.width(),
                    "h": box.height(),
                    "title": max(0, box.top() - self.frameGeometry().top()),
                },
            )
        for name, page in self.pages.items():
            store.set_numbers(f"panes/{name}", page.state())
        store.save()

    def _restore(self) -> None:
        store = self.services.store
        held = store.numbers("geometry")
        screens = [screen.availableGeometry() for screen in QGuiApplication.screens()]
        box = fit_to_screens(held, screens)
        if box is None:
            self.resize(first_size(screens))
        else:
            self.setGeometry(box)
        if store.text("screen") == "maximised":
            self.setWindowState(Qt.WindowState.WindowMaximized)

    def fit_screen(self) -> None:
        """Bring all of the window, its frame included, onto its screen; only once shown is the frame known."""
        if self.isMaximized() or self.isFullScreen():
            return
        box = within(self.screen().availableGeometry(), self.geometry(), self.frameGeometry())
        if box != self.geometry():
            self.setGeometry(box)

    def closeEvent(self, event: QCloseEvent) -> None:
        self.remember()
        if self._is_quitting:
            event.accept()
            return
        event.ignore()
        self.notices.close_asked()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self.overlay is not None:
            self.overlay.setGeometry(self.rect())
        self.notices.place()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._was_painted:
            self._was_painted = True
            self.painted.emit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self.update()
        elif event.type() == QEvent.Type.ActivationChange:
            # Whoever comes back may have written the configuration by hand meanwhile.
            if self.isActiveWindow() and self._was_left:
                self.services.settings.look_again()
            self._was_left = not self.isActiveWindow() and self._was_painted


def first_size(screens: list[QRect]) -> QSize:
    """The size of the first run: the usual one, or what the first screen has beside its panels and a title bar."""
    if not screens:
        return SIZE
    room = screens[0]
    return QSize(min(SIZE.width(), room.width()), min(SIZE.height(), room.height() - TITLE_BAR)).expandedTo(
        SIZE_MIN
    )


def fit_to_screens(held: dict[str, int], screens: list[QRect]) -> QRect | None:
    """The remembered place, moved and cut so that all of it is on one of the screens; None where nothing is known."""
    if not screens or not {"x", "y", "w", "h"} <= held.keys():
        return None
    box = QRect(held["x"], held["y"], max(SIZE_MIN.width(), held["w"]), max(SIZE_MIN.height(), held["h"]))

    def shared(screen: QRect) -> int:
        common = screen.intersected(box)
        return max(0, common.width()) * max(0, common.height())

    home = max(screens, key=shared)
    title = min(TITLE_BAR_MAX, max(0, held.get("title", TITLE_BAR)))
    return within(home, box, box.adjusted(0, -title, 0, 0))


def within(room: QRect, client: QRect, frame: QRect) -> QRect:
    """The place of a window's inside, moved and cut so that its frame is within `room` as well as it can be."""
    inner = room.adjusted(
        client.left() - frame.left(), client.top() - frame.top(),
        client.right() - frame.right(), client.bottom() - frame.bottom(),
    )  # fmt: skip
    wide, tall = min(client.width(), inner.width()), min(client.height(), inner.height())
    left = max(inner.left(), min(client.left(), inner.right() + 1 - wide))
    top = max(inner.top(), min(client.top(), inner.bottom() + 1 - tall))
    return QRect(left, top, wide, tall)


def what_stops(answers: int, downloads: int) -> str:
    """What quitting would end, as sentences; empty where nothing would."""
    said: list[str] = []
    if answers:
        stops = "stops" if answers == 1 else "stop"
        said.append(f"{plural(answers, 'answer')} on the way {stops}; what is there so far is kept.")
    if downloads:
        stops = "stops" if downloads == 1 else "stop"
        said.append(f"{plural(downloads, 'download')} {stops} and can go on from there later.")
    return " ".join(said)


def _focus_into(pane: QWidget, page: PageFrame) -> bool:
    """Give the focus to what a person expects in a region; False where it has nothing to take it."""
    reason = Qt.FocusReason.TabFocusReason
    if isinstance(pane, Rail | Strip):
        pane.focus(reason)
        return True
    if pane is page.main:
        take = getattr(page, "take_focus", None)
        if callable(take):
            take(reason)
            return True
    for child in pane.findChildren(QWidget):
        if child.isVisible() and child.isEnabled() and child.focusPolicy() & Qt.FocusPolicy.TabFocus:
            child.setFocus(reason)
            return True
    return False


__all__ = ["TITLE", "MainWindow", "QFrame", "fit_to_screens", "frame", "look"]
