"""Starts the real desktop in this process and lets a scenario look at it: `python drive.py SCENARIO`, JSON on stdout."""

import json
import sys
from collections.abc import Callable
from typing import Any

from PySide6.QtWidgets import QLabel

from app import bootstrap
from app.views import window as window_module


def banner(window: Any, done: Callable[[Any], None]) -> None:
    """Wait for a banner and tell its words and buttons."""
    if window.banner.isVisible() and window.services.bridge.legion is not None:
        done(
            {"words": window.banner.words.text(), "buttons": [made.text() for made in window.banner._buttons]}
        )


def no_engine(window: Any, done: Callable[[Any], None]) -> None:
    """Wait until there will be no engine, and tell what the window says."""
    if window.services.bridge.problem:
        done({"words": window.banner.words.text(), "strip": window.strip.buttons["engine"].text()})


def free_port(window: Any, done: Callable[[Any], None]) -> None:
    """Wait for the offer of a free port, take it, and tell the address."""
    if window.services.bridge.legion is None or window.services.status.status is None:
        return
    if window.banner.isVisible() and not window.property("asked"):
        window.setProperty("asked", True)
        window.banner._buttons[0].click()
    elif window.property("asked") and window.services.status.status.url and not window.banner.isVisible():
        done({"url": window.services.status.status.url, "banner": window.banner.isVisible()})


def slot_error(window: Any, done: Callable[[Any], None]) -> None:
    """Raise in a slot; the window must say so and live on."""
    from PySide6.QtCore import QTimer

    if not window.property("asked"):
        window.setProperty("asked", True)

        def broken() -> None:
            raise RuntimeError("inside a slot")

        QTimer.singleShot(0, broken)
    elif window.notices.toast.isVisible():
        done({"toast": window.notices.toast.accessibleName()})


def running(window: Any, done: Callable[[Any], None]) -> None:
    """Wait until the engine runs."""
    if window.services.status.status is not None:
        done({"engine": window.strip.buttons["engine"].text(), "title": window.windowTitle()})


def early_question(window: Any, done: Callable[[Any], None]) -> None:
    """Send before the engine is up; tell the answer's end."""
    if not window.property("asked"):
        window.setProperty("asked", True)
        assert window.services.bridge.legion is None
        window.chat_page.composing.composer.set_text("Say hello.")
        window.chat_page.composing.composer.submit()
    answer = window.services.chat.last_answer
    if answer is not None:
        done(
            {
                "status": answer.status,
                "tier": answer.tier,
                "has_text": bool(answer.text),
                "error": answer.error,
            }
        )


def example_chain(window: Any, done: Callable[[Any], None]) -> None:
    """Open and run the first example of the Chains page, and tell what became of it and of the file it writes."""
    if window.services.bridge.legion is None:
        return
    page = window.go("chains")
    if page.chains.is_read and not page.chains.names and not window.property("asked"):
        window.setProperty("asked", True)
        page.empty.buttons[0].click()
    run = page.editor.runs.run
    if run is None or run.is_running or not run.view.nodes:
        return
    looks = page.graph.view.graph.nodes
    rail = page.list.rows.rows[0].spoken
    # Each part of the page hears of the end at its own time.
    if (
        not rail.partition(", ")[2]
        or rail.endswith("running")
        or any(node.state in ("running", "waiting", "") for node in looks.values())
    ):
        return
    written = window.services.home / "files" / "shopping.txt"
    done(
        {
            "status": run.view.status,
            "nodes": {key: node.state for key, node in looks.items()},
            "edges": [edge.state for edge in page.graph.view.graph.edges],
            "faults": [fault.message for fault in page.editor.faults],
            "rows": [row.node for row in page.timeline.rows.rows],
            "written": written.read_text(encoding="utf-8"),
            "rail": rail,
        }
    )


def sign_in(window: Any, done: Callable[[Any], None]) -> None:
    """Add a server at SIGNED_AT by the Connect page, sign in with a browser of its own, approve it, and sign out again."""
    import os
    import threading
    import urllib.request

    from PySide6.QtGui import QDesktopServices
    from PySide6.QtWidgets import QApplication, QPushButton

    if window.services.status.status is None:
        return
    said: dict[str, Any] = window.__dict__.setdefault("said", {"steps": [], "asked": "", "opened": []})
    steps = said["steps"]

    def click(name: str) -> None:
        found = [
            made
            for top in QApplication.topLevelWidgets()
            for made in top.findChildren(QPushButton, name)
            if made.isVisible() and made.isEnabled()
        ]
        if found:
            steps.append(name)
            found[0].click()

    def browse(url: Any) -> bool:
        said["opened"].append(url.toString())
        threading.Thread(target=lambda: urllib.request.urlopen(url.toString(), timeout=60).read()).start()
        return True

    QDesktopServices.openUrl = browse  # type: ignore[method-assign, assignment]
    page = window.current if steps else window.go("connect")  # going there moves the focus
    server = page.connect_model.server("theirs")
    match len(steps):
        case 0:
            page.run("add")
            dialog = page.use.dialog
            dialog.kind.choose("url")
            dialog.name.setText("theirs")
            dialog.url.setText(os.environ["SIGNED_AT"])
            click("connect.addServer.act")
        case 1 if server is not None and server.state == "signin":
            said["words"] = page.use.sign.text()
            said["has_focus"] = page.use.window().focusWidget() is page.use.sign
            click("connect.server.signIn")
        case 2:
            question = QApplication.activeModalWidget()
            if question is not None:
                said["asked"] = " ".join(made.text() for made in question.findChildren(QLabel))
                (act,) = (made for made in question.findChildren(QPushButton) if made.text() == "Open link")
                steps.append("open")
                act.click()
        case 3 if server is not None and server.is_signed_in and server.state in ("waiting", "new"):
            click("connect.server.approve")
        case 4:
            click("connect.approveServer.act")
        case 5 if server is not None and server.state in ("ready", "asleep"):
            said["tools"] = [tool.name for tool in server.tools]
            said["then"] = page.use.sign.text()
            click("connect.server.signIn")
        case 6 if server is not None and not server.is_signed_in:
            done(said)
        case _:
            pass


def immediately(window: Any, done: Callable[[Any], None]) -> None:
    """Quit at the first chance, while the engine is still starting."""
    done({})


def every_page(window: Any, done: Callable[[Any], None]) -> None:
    """Look at every page in the order of the rail, run the first example of the chains, and tell which pages there were."""
    from PySide6.QtWidgets import QPushButton

    if window.services.status.status is None:
        return
    left = [name for name in window._factories if name not in (window.property("seen") or [])]
    if left:
        page = window.go(left[0])
        window.setProperty("seen", [*(window.property("seen") or []), left[0]])
        for made in page.findChildren(QPushButton):
            if made.text() == "Open and run" and made.isVisible():
                made.click()
                return
        return
    done({"pages": window.property("seen")})


def main() -> int:
    scenario = globals()[sys.argv[1]]
    make = window_module.MainWindow.__init__

    def made(self: Any, services: Any) -> None:
        from PySide6.QtCore import QTimer

        make(self, services)
        timer = QTimer(self)
        timer.setInterval(20)

        def done(said: Any) -> None:
            timer.stop()
            print(json.dumps(said), flush=True)
            self.quit_asked.emit()

        timer.timeout.connect(lambda: scenario(self, done))
        timer.start()

    window_module.MainWindow.__init__ = made  # type: ignore[method-assign]
    return bootstrap.run([])


if __name__ == "__main__":
    sys.exit(main())
