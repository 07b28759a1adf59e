"""`legion status`, `legion stop`, `legion doctor`."""

import argparse
import os
import signal
import threading

from legion_core.kernel.errors import Conflict, TimedOut
from legion_core.storage.home import NodeRecord, process_started
from legion_core.surfaces.cli import words
from legion_core.surfaces.cli.connect import address, running
from legion_core.surfaces.cli.nodeshape import NodeShape
from legion_core.surfaces.cli.outcome import Actions, Outcome, Setting

STOP_S = 20.0
LOOK_AGAIN_S = 0.05


def status(setting: Setting, args: argparse.Namespace) -> Outcome:
    """Opens nothing: without a running engine it says so, which is no error."""
    home = setting.home
    found = running(home, setting.env)
    if found is not None:
        try:
            shape = found.status()
        finally:
            found.close()
        return Outcome(shape, _told(shape))
    token_path = "" if setting.env.get("LEGION_TOKEN") else str(home.token_path)
    record = home.read_node()
    if record is not None:
        problem = "It serves no port." if record.port is None else f"It does not answer at {address(record)}."
        shape = NodeShape(pid=record.pid, home=str(home.root), token_path=token_path, problem=problem)
        return Outcome(shape, _told(shape))
    shape = NodeShape(is_running=False, home=str(home.root), token_path=token_path)
    return Outcome(
        shape,
        words.typed(
            f"Not running in {home.root}. `legion start` starts it, `legion desktop` opens the window."
        ),
    )


def _told(shape: NodeShape) -> str:
    speed = f", {shape.tokens_per_s:.1f} tok/s" if shape.tokens_per_s else ""
    spent = words.money(shape.spent_today_usd)
    if shape.spent_unknown:
        spent += f", and {words.count(shape.spent_unknown)} requests with an unknown price"
    return words.pairs(
        (
            (
                "Running",
                f"process {shape.pid}" + (f", for {words.span(shape.uptime_s)}" if shape.uptime_s else ""),
            ),
            ("Address", shape.url),
            ("Problem", shape.problem),
            ("Token", shape.token_path or "LEGION_TOKEN"),
            ("Data", shape.home),
            ("Model", f"{shape.model} on {shape.tier}{speed}" if shape.model else ""),
            ("Chats", words.count(shape.conversations) if shape.version else ""),
            ("Spent today", spent if shape.version else ""),
            ("Version", shape.version),
        )
    )


def stop(setting: Setting, args: argparse.Namespace) -> Outcome:
    """Returns once it has ended; that none runs is no error."""
    record = setting.home.read_node()
    if record is None:
        return Outcome({"was_running": False, "pid": None}, "Nothing runs.")
    if record.pid == os.getpid():
        raise Conflict("This very process is the engine.")
    os.kill(record.pid, signal.SIGTERM)
    if not _has_ended(record):
        raise TimedOut(
            f"Process {record.pid} was told to end and has not within {STOP_S:.0f} s.",
            hint=f"Look at {setting.home.logs_directory}, or end it by force: kill -9 {record.pid}",
        )
    return Outcome({"was_running": True, "pid": record.pid}, "Stopped.")


def _has_ended(record: NodeRecord) -> bool:
    pause = threading.Event()
    for _ in range(int(STOP_S / LOOK_AGAIN_S)):
        if process_started(record.pid) != record.started:
            return True
        pause.wait(LOOK_AGAIN_S)
    return False


def doctor(setting: Setting, args: argparse.Namespace) -> Outcome:
    """Exit status 1 if a check failed."""
    checks = setting.backend.doctor()
    marks = {"ok": "ok", "warning": "look", "failed": "FAILED"}
    lines = words.table(("", "", ""), [(marks[each.state], each.name, each.found) for each in checks])
    told = [lines.lstrip("\n")]
    todo = [f"  {each.name}: {each.todo}" for each in checks if each.todo and each.state != "ok"]
    if todo:
        told += ["", "To do:", *todo]
    has_failed = any(each.state == "failed" for each in checks)
    return Outcome(checks, "\n".join(told), status=int(has_failed))


STATUS: Actions = {None: status}
STOP: Actions = {None: stop}
DOCTOR: Actions = {None: doctor}
