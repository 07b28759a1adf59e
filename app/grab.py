"""Draws every page of the real window, light and dark, on chats that the real engine made: `python -m app.grab OUTDIR`.

Nothing of the user's own is read: the engine runs in a directory that is thrown away.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from app.grab_work import connect, show_activity, show_connect, show_schedules, work

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

    from app.views.window import MainWindow

WIDTH, HEIGHT = 1280, 800
SETTLE_S = 0.4  # layout, colours of code, the last facts
ANSWER_S = 20.0  # the starter model may go on for long; it is stopped, as a person would
QUESTIONS = (
    "Say good morning in French.",
    "What is the difference between weather and climate?",
    "Write a short thank-you note to a neighbour who watered the plants.",
    "Explain what a tide table is for.",
    "Write a Python function that returns the larger of two numbers, with a docstring.",
)
PINNED = 2
CONFIG = """\
[chat]
system_prompt = "Answer in at most three short sentences."
[[gateway.instances]]
name = "box-a"
kind = "openai"
base_url = "http://127.0.0.1:9/v1"
tier = "direct"
[[gateway.instances.models]]
id = "qwen3-32b"
context = 32768
"""
Theme = Literal["light", "dark"]


def main(argv: list[str] | None = None) -> int:
    """Write the pictures; returns the exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("Usage: python -m app.grab OUTDIR", file=sys.stderr)  # noqa: T201  # it is a command
        return 2
    target = Path(arguments[0])
    target.mkdir(parents=True, exist_ok=True)
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.environ.setdefault("QT_API", "pyside6")
    from PySide6.QtWidgets import QApplication

    from app.loop import WorkbenchLoop

    app = QApplication(["legion-workbench"])
    app.setQuitOnLastWindowClosed(False)
    with (
        tempfile.TemporaryDirectory(prefix="legion-grab-") as home,
        asyncio.Runner(loop_factory=lambda: WorkbenchLoop(app)) as runner,
    ):
        names = runner.run(_draw(app, Path(home), target))
    for name in names:
        print(target / name)  # noqa: T201
    return 0


async def _draw(app: "QApplication", home: Path, target: Path) -> list[str]:
    from PySide6.QtGui import QCursor

    from app.bridge import Bridge
    from app.theme.apply import apply
    from app.views.services import Services
    from app.views.store import Store
    from app.views.window import MainWindow
    from legion_core.kernel.clock import SystemClock
    from legion_core.kernel.supervise import Supervisor
    from legion_core.node import open_node

    apply(app, "light", 1.0)
    (home / "config.toml").write_text(CONFIG, encoding="utf-8")
    supervisor, clock = Supervisor(), SystemClock()
    bridge = Bridge(supervisor)
    services = Services(bridge, Store(None), lambda: clock.utc_now().astimezone(), home)
    window = MainWindow(services)
    window.resize(WIDTH, HEIGHT)
    QCursor.setPos(WIDTH * 2, HEIGHT * 2)  # no button shall look hovered
    window.show()
    names: list[str] = []
    env = {
        "LEGION_PORT": "0",
        "HOME": str(home / "person"),
        "PATH": "",
        "APPIMAGE": "/opt/legion-workbench/legion",
    }
    async with open_node(home, env=env, serve=True) as node:
        bridge.connect_engine(node.legion)
        await _pause()
        for theme in ("light", "dark"):
            apply(app, theme, 1.0)
            names.append(await _shot(window, target, f"chat-empty-{theme}"))
        await _chat(node.legion)
        await work(node.legion)
        await connect(node.legion, home / "person")
        await node.legion.models.measure((await node.legion.models.list())[0].name)
        node.legion.providers.trip("box-a")
        for theme in ("light", "dark"):
            apply(app, theme, 1.0)
            for page, show in _pages():
                await show(window)
                names.append(await _shot(window, target, f"{page}-{theme}"))
                window.close_overlay()
        bridge.close()
    await supervisor.stop()
    window.prepare_quit()
    window.notices.stop()
    window.close()
    window.deleteLater()
    await _pause()
    return names


async def _chat(legion: Any) -> None:
    """Real questions to the real starter model."""
    for number, question in enumerate(QUESTIONS):
        turn = await legion.chat.send(None, question)
        try:
            async with asyncio.timeout(ANSWER_S):
                await legion.chat.finished(turn)
        except TimeoutError:
            await legion.chat.stop(turn.conversation_id)
        if number == PINNED:
            await legion.chat.pin(turn.conversation_id, True)


def _pages() -> tuple[tuple[str, "Callable[[MainWindow], Awaitable[None]]"], ...]:
    return (
        ("chat", _show_chat),
        ("models", _show_models),
        ("models-discover", lambda window: _show_tab(window, "discover")),
        ("models-providers", lambda window: _show_tab(window, "providers")),
        ("routing", _show_routing),
        ("routing-spend", lambda window: _show_routing_tab(window, "spend")),
        ("chains", _show_chains),
        ("chains-text", lambda window: _show_chains(window, "text")),
        ("schedules", show_schedules),
        ("activity", show_activity),
        ("connect", show_connect),
        ("connect-network", _show_network),
        ("settings", _show_settings),
        ("palette", _show_palette),
        ("wizard", _show_wizard),
    )


async def _show_chat(window: "MainWindow") -> None:
    window.go("chat")
    window.services.chats.refresh()
    await _pause()
    latest = next(found for found in window.services.chats.found if not found.is_pinned)
    window.chat_page.open(latest.id)
    await _pause()
    window.chat_page.show_inspector()
    window.chat_page.run("answer.trace")


async def _show_models(window: "MainWindow") -> None:
    window.go("models")
    await _pause()
    await _show_tab(window, "installed")


async def _show_tab(window: "MainWindow", tab: str) -> None:
    page: Any = window.go("models")
    page.tabs.choose(tab)
    page.take_focus()
    await _pause()


async def _show_chains(window: "MainWindow", way: str = "graph") -> None:
    from app.viewmodels.chain_examples import EXAMPLES

    page: Any = window.go("chains")
    await _pause()
    if not page.chains.names:
        for example in (EXAMPLES[1], EXAMPLES[0]):
            page.begin_example(example)
            runs = page.editor.runs
            await _until(lambda runs=runs: runs.run is not None and not runs.run.is_running)
        await _pause()
    page.run(way)
    page.editor.select((), (2,))
    page.list.show_entries(page.list.rows.rows, f"chain:{page.chains.current}")


async def _show_routing(window: "MainWindow") -> None:
    page: Any = await _show_routing_tab(window, "ladder")
    page.routing.select("box-a")
    page.trial_panel.question.setPlainText("Read this scanned lease and list every date with its clause.")
    page.simulator.ask()
    page.take_focus()
    await _pause()


async def _show_routing_tab(window: "MainWindow", tab: str) -> Any:
    page: Any = window.go("routing")
    page.tabs.choose(tab)
    await _pause()
    return page


async def _show_network(window: "MainWindow") -> None:
    page: Any = window.go("connect")
    page.run("network")
    await _pause()
    page.take_focus()


async def _show_settings(window: "MainWindow") -> None:
    window.go("settings")


async def _show_palette(window: "MainWindow") -> None:
    window.go("chat")
    window.open_palette()
    overlay: Any = window.overlay
    overlay.field.setText("chat")


async def _show_wizard(window: "MainWindow") -> None:
    window.open_wizard()
    overlay: Any = window.overlay
    overlay.show_step(1)


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(ANSWER_S):
        while not is_so():  # noqa: ASYNC110  # what is waited for is shown, not told
            await asyncio.sleep(0.05)


async def _pause() -> None:
    await asyncio.sleep(SETTLE_S)


async def _shot(window: "MainWindow", target: Path, name: str) -> str:
    await _pause()
    window.grab().save(str(target / f"{name}.png"))
    return f"{name}.png"


if __name__ == "__main__":
    sys.exit(main())
