"""What a long list of what ran costs: opening it, filtering it, scrolling and jumping in it, following it.

Run: python -m benchmarks.activity [--json] [--rows 100000] [--rounds 5]. A real node with so many tasks on disk, the
real page, offscreen. Times are CPU of the interface's thread (`time.thread_time`) where a frame is meant, wall where a
person waits. Medians over the rounds unless a percentile is named.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("QT_API", "pyside6")

from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication

from app.loop import WorkbenchLoop

if TYPE_CHECKING:
    from app.views.activity.page import ActivityPage

STEP_PX, STEPS, JUMPS, TOLD = 60, 300, 60, 200
NAMES = ("http.request.get", "log.message.write", "llm.chat.ask", "file.text.read", "notify.desktop.send")


def main(argv: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args(argv)
    app = QApplication(["legion-workbench"])
    app.setQuitOnLastWindowClosed(False)
    with (
        tempfile.TemporaryDirectory(prefix="legion-activity-") as home,
        asyncio.Runner(loop_factory=lambda: WorkbenchLoop(app)) as runner,
    ):
        figures = runner.run(_measure(app, Path(home), asked.rows, asked.rounds))
    if asked.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:24} {value}")
    return 0


async def _seed(home: Path, count: int) -> None:
    """So many ended tasks over three weeks, a fifth of them with a reason."""
    from legion_core.engine import journal
    from legion_core.engine.reasons import because
    from legion_core.kernel.clock import SystemClock
    from legion_core.storage.home import Home
    from legion_core.storage.sqlite import Database

    place, now = Home(home), int(SystemClock().utc_now().timestamp() * 1000)
    place.create()
    database = await Database.open(
        place.journal_path, migrations=journal.MIGRATIONS, durability="process", clock=SystemClock()
    )
    span = 21 * 86_400_000 // count

    def work(start: int, end: int) -> Any:
        tasks = [
            journal.NewTask(
                id=f"task_{at:08d}",
                task=NAMES[at % len(NAMES)],
                args=b'{"url":"https://example.org/%d"}' % at,
                created_ms=now - (count - at) * span,
                submitter="eng_seed",
                who="owner",
                status="skipped" if at % 5 else "blocked",
                reason=None if at % 5 else because("task.raised", what=f"no such host {at}"),
            )
            for at in range(start, end)
        ]

        def write(connection: journal.Connection) -> None:
            journal.insert(connection, tasks, "eng_seed")

        return write

    for start in range(0, count, 5_000):
        await database.write(work(start, min(count, start + 5_000)))
    await database.close()


async def _measure(app: QApplication, home: Path, count: int, rounds: int) -> dict[str, Any]:
    from app.bridge import Bridge
    from app.theme.apply import apply
    from app.views.activity.page import ActivityPage
    from app.views.services import Services
    from app.views.store import Store
    from legion_core.kernel.clock import SystemClock
    from legion_core.kernel.supervise import Supervisor
    from legion_core.node import open_node

    await _seed(home, count)
    apply(app, "light", 1.0)
    clock, supervisor = SystemClock(), Supervisor()
    results: dict[str, list[float]] = {}
    async with open_node(home, env={"LEGION_PORT": "0"}, serve=False) as node:
        bridge = Bridge(supervisor)
        bridge.connect_engine(node.legion)
        services = Services(bridge, Store(None), lambda: clock.utc_now().astimezone(), home)
        for _ in range(rounds):
            page = ActivityPage(services, lambda _: None, lambda *_, **__: None)
            page.resize(1232, 776)
            await _round(app, page, node.legion, count, results)
            page.hide()
            page.deleteLater()
            QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        bridge.close()
    await supervisor.stop()
    figures = {
        name: round(statistics.median(found), 2) for name, found in results.items() if len(found) == rounds
    }
    for name in ("scroll", "jump", "follow"):
        figures[f"{name}_p99_ms"] = round(_rank(results[name], 0.99), 2)
        figures[f"{name}_p50_ms"] = round(_rank(results[name], 0.5), 2)
    figures["rows"] = count
    return figures


async def _round(
    app: QApplication, page: "ActivityPage", legion: Any, count: int, results: dict[str, list[float]]
) -> None:
    def note(name: str, value: float) -> None:
        results.setdefault(name, []).append(value)

    activity = page.activity
    wall, cpu = time.perf_counter(), time.thread_time()
    page.show()
    await _until(lambda: activity.count > 0 and activity.row_at(0) is not None)
    app.processEvents()
    note("first_rows_ms", (time.perf_counter() - wall) * 1e3)
    note("first_rows_cpu_ms", (time.thread_time() - cpu) * 1e3)
    await _until(lambda: activity.count >= count)
    note("all_rows_ms", (time.perf_counter() - wall) * 1e3)
    bar = page.table.verticalScrollBar()
    bar.setValue(bar.maximum() // 3)
    await _settle(activity)
    for at in range(STEPS):
        cpu = time.thread_time()
        bar.setValue(bar.value() + STEP_PX)
        app.processEvents()
        note("scroll", (time.thread_time() - cpu) * 1e3)
        if at % 20 == 0:
            await asyncio.sleep(0)
    chance = random.Random(7)
    for _ in range(JUMPS):
        cpu = time.thread_time()
        bar.setValue(chance.randrange(bar.maximum()))
        app.processEvents()
        await _settle(activity)
        app.processEvents()
        note("jump", (time.thread_time() - cpu) * 1e3)
    bar.setValue(0)
    wall = time.perf_counter()
    page.filters.show_view("all")
    from app.viewmodels.activity_query import Filter

    activity.show(Filter(words="example.org/777"))
    await _until(lambda: activity.is_loaded and 0 < activity.count < count)
    note("find_ms", (time.perf_counter() - wall) * 1e3)
    activity.show(Filter())
    await _until(lambda: activity.count >= count)
    await _follow(app, page, legion, note)


async def _follow(app: QApplication, page: "ActivityPage", legion: Any, note: Any) -> None:
    """Tasks come while the page is watched: CPU of the interface's thread for each frame with news."""
    from legion_core.api.task_types import Order

    before = page.activity.count
    orders = [Order(task="log.message.write", args={"message": "x"}) for _ in range(TOLD)]
    await legion.tasks.submit_many(orders)
    while page.activity.count < before + TOLD:
        cpu = time.thread_time()
        app.processEvents()
        await asyncio.sleep(0)
        note("follow", (time.thread_time() - cpu) * 1e3)
        await asyncio.sleep(0.005)


async def _until(condition: Any, limit_s: float = 60.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.002)


async def _settle(activity: Any) -> None:
    """All rows that were asked for are there."""
    await _until(lambda: not activity.is_reading)


def _rank(samples: list[float], share: float) -> float:
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


if __name__ == "__main__":
    sys.exit(main())
