"""What the pictures of Schedules and Activity show: real tasks, runs and schedules of the real engine."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.views.window import MainWindow

SETTLE_S = 0.6
WAIT_S = 15.0
ZONE = "Europe/Lisbon"
SETTINGS = {
    ".config/zed/settings.json": """// How Zed looks
{
  "ui_font_size": 15,
  "buffer_font_size": 14,
  "tab_size": 2,
  "theme": "One Light",
  "vim_mode": false, // not yet
}
""",
    ".cursor/mcp.json": """{
  "mcpServers": {
    "docs": { "command": "npx", "args": ["-y", "docs-server"] }
  }
}
""",
    ".claude.json": """{
  "numStartups": 41
}
""",
}


async def work(legion: Any) -> None:
    """A handful of tasks, some of which fail, and schedules some of which have run."""
    from legion_core.api.schedule_types import ScheduleSpec
    from legion_core.api.task_types import Order, Retry

    orders = [
        Order(task="log.message.write", args={"message": "Tide at gauge 3 is 412 cm"}),
        Order(task="http.request.get", args={"url": "http://127.0.0.1:9/readings"}),
        Order(
            task="http.request.get",
            args={"url": "http://gauge-7.invalid/latest"},
            retry=Retry(max=2, delay_s=0.3),
        ),
        Order(task="log.message.write", args={"message": "Evening report"}, delay_s=3600),
    ]
    accepted = await legion.tasks.submit_many(orders)
    for each in accepted[:3]:
        await legion.tasks.wait_at_most(each.id, WAIT_S)
    for spec in (
        ScheduleSpec(name="tide-check", target="http.request.get", args={"url": "http://127.0.0.1:9/readings"}, cron="*/10 * * * *", zone=ZONE),
        ScheduleSpec(name="nightly-backup", target="log.message.write", args={"message": "Backed up"}, cron="30 1 * * *", zone=ZONE),
        ScheduleSpec(name="weekly-digest", target="log.message.write", args={"message": "Digest"}, cron="0 7 * * 1", zone=ZONE),
        ScheduleSpec(name="invoice-inbox", target="log.message.write", args={"message": "Looked"}, cron="0 9-17/2 * * 1-5", zone=ZONE),
        ScheduleSpec(name="reindex-notes", target="log.message.write", args={"message": "Done"}, every_s=21_600),
        ScheduleSpec(name="photo-captions", target="log.message.write", args={"message": "Done"}, cron="0 3 * * *", zone=ZONE),
    ):  # fmt: skip
        await legion.schedules.add(spec)
    await legion.schedules.pause("photo-captions")
    for name in ("tide-check", "nightly-backup", "weekly-digest"):
        ran = await legion.schedules.run_now(name)
        await legion.tasks.wait_at_most(ran.task, WAIT_S)


async def connect(legion: Any, person: Path) -> None:
    """Programs on a computer that is made up: three are connected, one was changed since."""
    for folder in (".config/Claude", ".config/Code/User", ".config/zed", ".cursor", ".claude"):
        (person / folder).mkdir(parents=True)
    for path, text in SETTINGS.items():
        (person / path).write_text(text, encoding="utf-8")
    for name in ("cursor", "vscode", "claude-code"):
        await legion.connect.apply(name)
    changed = person / ".claude.json"
    changed.write_text(
        changed.read_text(encoding="utf-8").replace('"mcp"', '"mcp", "--old"'), encoding="utf-8"
    )


async def show_connect(window: "MainWindow") -> None:
    """What would be written for one that is not connected."""
    page: Any = window.go("connect")
    page.run("serve")
    await asyncio.sleep(SETTLE_S)
    page.connect_model.select("zed")
    await asyncio.sleep(SETTLE_S)
    page.take_focus()


async def show_schedules(window: "MainWindow") -> None:
    """The list, the coming week, and the form of one schedule."""
    page: Any = window.go("schedules")
    await asyncio.sleep(SETTLE_S)
    page.choose("nightly-backup")
    page.schedules.show_week(0)
    page.schedules.show_week(1)


async def show_activity(window: "MainWindow") -> None:
    """The list, and why one task gave up."""
    page: Any = window.go("activity")
    await asyncio.sleep(SETTLE_S)
    activity = page.activity
    rows: list[Any] = []
    for _ in range(2):  # once to have the rows read, once to find it among them
        rows = [activity.row_at(place) for place in range(min(60, activity.count))]
        await asyncio.sleep(SETTLE_S)
    found = next((place for place, row in enumerate(rows) if row is not None and row.status == "dead"), 0)
    page.table.setCurrentIndex(page.table.rows.index(found, 0))
