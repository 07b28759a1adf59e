"""Opens the window, then the engine behind it, and ends both in order.

    first frame on the screen ─▶ engine's modules imported in a thread ─▶ node starts on the same loop ─▶ intents run
    any cause of ending ─▶ no more intents ─▶ node ends ─▶ background work ends ─▶ timers, windows ─▶ loop

Leaving widgets or timers to the interpreter crashes at exit, and so does a loop that ends under its main coroutine:
the main coroutine alone owns the end.
"""

import asyncio
import contextlib
import gc
import importlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

    from app.bridge import Bridge
    from app.loop import WorkbenchLoop
    from app.views.window import MainWindow

log = logging.getLogger("legion.app")

FIRST_PAINT_S = 5.0
STOP_S = 8.0
THREADS = 4
# What the engine needs and takes time to import; done in a thread so that the window answers meanwhile.
ENGINE_MODULES = ("legion_core.node",)
WINDOW_MODULES = (
    "app.views.chat.reading",
    "app.views.tray",
)
HEADLESS_PLATFORMS = ("offscreen", "minimal", "vnc", "eglfs", "linuxfb")
NO_DISPLAY = (
    "There is no display to open a window on.\n"
    "Run `legion start` to serve without a window, or set DISPLAY or WAYLAND_DISPLAY."
)


def run(arguments: list[str], env: Mapping[str, str] | None = None) -> int:
    """Open the desktop and stay until it is quit; returns the exit status."""
    environment = os.environ if env is None else env
    # Thousands of objects come into being at the start and all of them stay: looking for garbage meanwhile is wasted.
    gc.disable()
    if why := _no_window(environment):
        print(why, file=sys.stderr)  # noqa: T201  # there is no window to say it in
        return 1
    from legion_core.kernel.errors import LegionError
    from legion_core.storage.home import Home

    home = Home.find(environment)
    from app import single

    if single.may_answer(home.root) and single.raise_first(home.root, arguments):
        return 0
    try:
        home.create()
        remembers = True
    except LegionError:
        remembers = False  # the engine will say why; the window opens all the same
    return _open(arguments, home.root, environment, remembers=remembers)


def _open(arguments: list[str], home: Path, env: Mapping[str, str], *, remembers: bool) -> int:
    os.environ.setdefault("QT_API", "pyside6")
    if lacks_bus(env):
        # Asked for one, the bus library starts a bus of its own, on which nobody else is and which outlives the window.
        os.environ["DBUS_SESSION_BUS_ADDRESS"] = "disabled:"
    from PySide6.QtCore import Qt
    from PySide6.QtGui import QGuiApplication
    from PySide6.QtWidgets import QApplication

    QGuiApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
    QGuiApplication.setDesktopFileName("legion-workbench")
    app = QApplication(["legion-workbench"])
    app.setApplicationName("Legion Workbench")
    app.setQuitOnLastWindowClosed(False)  # else closing the window stops the loop under the main coroutine
    from app.loop import WorkbenchLoop
    from app.views.appearance import apply_remembered
    from app.views.store import Store

    store = Store(home / "window.ini" if remembers else None)
    apply_remembered(app, store)
    desktop = Desktop(app, home, env, arguments, store)
    with asyncio.Runner(loop_factory=lambda: WorkbenchLoop(app)) as runner:
        return runner.run(desktop.main())


class Desktop:
    """One run of the desktop: the parts, and the order in which they come and go."""

    def __init__(
        self, app: "QApplication", home: Path, env: Mapping[str, str], arguments: list[str], store: Any
    ) -> None:
        self._app = app
        self._home = home
        self._env = env
        self._arguments = arguments
        self._store = store
        self._quit = asyncio.Event()
        self._engine_end = asyncio.Event()
        self._node: Any = None

    async def main(self) -> int:
        """From the first frame to the last."""
        from app import measure
        from app.bridge import Bridge
        from app.views.services import Services
        from app.views.window import MainWindow
        from legion_core.kernel.clock import SystemClock
        from legion_core.kernel.supervise import Supervisor

        loop: WorkbenchLoop = asyncio.get_running_loop()  # type: ignore[assignment]
        cast("asyncio.AbstractEventLoop", loop).set_default_executor(
            ThreadPoolExecutor(THREADS, thread_name_prefix="legion-app")
        )
        supervisor = Supervisor()
        bridge = Bridge(supervisor)
        _catch_all(loop, bridge)
        self._catch_signals(loop)
        clock = SystemClock()
        services = Services(bridge, self._store, lambda: clock.utc_now().astimezone(), self._home)
        window = MainWindow(services)
        window.quit_asked.connect(self._quit.set)
        painted = asyncio.Event()
        window.painted.connect(painted.set)
        window.show()
        window.go("chat")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_PAINT_S):
                await painted.wait()
        window.fit_screen()
        if measure.wants("START", self._env):
            measure.print_ready()
            if measure.wants("EXIT", self._env):
                self._quit.set()
        # Modules that the first frame did without come in a thread; what they make is made when it is needed.
        for name in WINDOW_MODULES:
            await asyncio.to_thread(importlib.import_module, name)
        # The interpreter's collector runs in whichever thread allocates, and would end Qt objects there: it stays off,
        # and the loop collects on its own thread instead.
        gc.freeze()
        loop.timers.collects_garbage = True
        from app.single import FirstWindow
        from app.views.store import WIZARD_DONE

        is_first_run = not services.store.flag(WIZARD_DONE)
        if is_first_run and not window.chat_page.composing.composer.text() and services.chat.is_new:
            window.open_wizard()

        first = FirstWindow(self._home)
        first.asked.connect(window.raise_up)
        engine = supervisor.spawn("app.engine", self._run_engine(window, bridge))
        window.notices.start_tray()
        if measure.wants("IDLE", self._env):
            loop.add_signal_handler(signal.SIGUSR1, lambda: measure.print_idle(loop.timers.count))
        await self._quit.wait()
        # From here on everything ends, in this order.
        window.prepare_quit()
        services.chat.save_draft()
        await asyncio.sleep(0)
        window.remember()
        window.hide()
        first.close()
        self._engine_end.set()
        try:
            async with asyncio.timeout(STOP_S):
                await asyncio.gather(engine, return_exceptions=True)
        except TimeoutError:
            log.warning("the engine did not end within %.0f s", STOP_S)
        bridge.close()
        await supervisor.stop()
        self._end_windows(window)
        first.deleteLater()
        bridge.deleteLater()
        for _ in range(3):
            await asyncio.sleep(0)
            self._deliver_deletes()
            _let_go(loop)
        return 0

    async def _run_engine(self, window: "MainWindow", bridge: "Bridge") -> None:
        try:
            for name in ENGINE_MODULES:
                await asyncio.to_thread(importlib.import_module, name)
            from legion_core.node import open_node

            async with open_node(self._home, env=self._env, serve=True) as node:
                self._node = node
                bridge.connect_engine(node.legion)
                window.notices.engine_started(node)
                await self._engine_end.wait()
                bridge.close()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            from app.bridge import Spoken, sentence_of

            if not isinstance(error, Spoken):
                log.exception("the engine could not start")
            sentence = sentence_of(error) if isinstance(error, Spoken) else _plain(error)
            bridge.give_up(sentence)
            window.services.status.engine_failed(sentence)
            window.notices.engine_failed(sentence)

    def _catch_signals(self, loop: "WorkbenchLoop") -> None:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None:
                with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
                    loop.add_signal_handler(number, self._quit.set)

    def _end_windows(self, window: "MainWindow") -> None:
        from PySide6.QtCore import Qt, QTimer
        from shiboken6 import isValid

        window.notices.stop()
        for timer in window.findChildren(QTimer):
            timer.stop()
        # A list that drops down from a field is a window too, and its field ends it: those that are left come last.
        popup = Qt.WindowType.Popup
        for mine in (
            [window],
            [
                top
                for top in self._app.topLevelWidgets()
                if top.parent() is None and top.windowType() != popup
            ],
            None,
        ):
            for widget in self._app.topLevelWidgets() if mine is None else mine:
                if isValid(widget):
                    widget.close()
                    widget.deleteLater()
            self._deliver_deletes()

    def _deliver_deletes(self) -> None:
        from PySide6.QtCore import QEvent

        self._app.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def lacks_bus(env: Mapping[str, str]) -> bool:
    """Whether this is a Linux session without a session bus, such as a bare X server."""
    if not sys.platform.startswith("linux") or env.get("DBUS_SESSION_BUS_ADDRESS"):
        return False
    return not (runtime := env.get("XDG_RUNTIME_DIR")) or not Path(runtime, "bus").exists()


def _no_window(env: Mapping[str, str]) -> str:
    """Why no window can be opened here, or nothing."""
    from app.qt import load_qt

    try:
        load_qt()
    except ImportError as error:
        return (
            f"The window's libraries do not load: {error}.\n"
            "Run `legion start` to serve without a window, or install what is missing (on Debian: libegl1 libgl1 libxkbcommon0)."
        )
    if not sys.platform.startswith("linux"):
        return ""
    platform = env.get("QT_QPA_PLATFORM", "").partition(":")[0]
    if platform in HEADLESS_PLATFORMS:
        return ""
    if not env.get("DISPLAY") and not env.get("WAYLAND_DISPLAY"):
        return NO_DISPLAY
    if env.get("DISPLAY") and not env.get("WAYLAND_DISPLAY") and platform in ("", "xcb"):
        return _xcb_problem()
    return ""


def _xcb_problem() -> str:
    """Qt aborts the process where its X plugin cannot load; asking the loader first gives a sentence instead."""
    import ctypes

    import PySide6

    plugin = Path(PySide6.__file__).parent / "Qt" / "plugins" / "platforms" / "libqxcb.so"
    if not plugin.exists():
        return ""
    try:
        ctypes.CDLL(str(plugin))
    except OSError as error:
        return (
            f"The window's libraries do not load: {error}.\n"
            "Run `legion start` to serve without a window, or install what is missing (on Debian: libxcb-cursor0)."
        )
    return ""


def _catch_all(loop: "WorkbenchLoop", bridge: "Bridge") -> None:
    """An error in a slot or a callback is logged and shown once, never swallowed and never the end."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        bridge.report(error)

    def from_loop(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, BaseException):
            bridge.report(error)
        else:
            log.error("%s", context.get("message", "unknown error on the loop"))

    sys.excepthook = hook
    cast("asyncio.AbstractEventLoop", loop).set_exception_handler(from_loop)


def _let_go(loop: "WorkbenchLoop") -> None:
    sys.excepthook = sys.__excepthook__
    cast("asyncio.AbstractEventLoop", loop).set_exception_handler(None)


def _plain(error: BaseException) -> str:
    words = traceback.format_exception_only(error)[-1].strip()
    return f"The engine could not start: {words}. The log has the details."
