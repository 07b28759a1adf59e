"""`legion task …`."""

import argparse
import json
from typing import Any

import msgspec

from legion_core.api.task_types import Order, TaskRow, TaskView
from legion_core.engine.words import typed
from legion_core.kernel.errors import InvalidInput
from legion_core.surfaces.cli import words
from legion_core.surfaces.cli.outcome import Actions, Outcome, Setting


def run(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`run`: through the running node; without one this command runs the task itself, unless it is for later.

    Waited for, the exit status is 1 where the task did not succeed.
    """
    backend = setting.backend
    function = backend.function(args.task)
    order = Order(
        task=args.task,
        args=typed(function.arguments, pairs_of(args.words)),
        delay_s=args.delay,
        idempotency_key=args.key,
    )
    accepted = backend.submit_task(order)
    if args.wait or (not backend.outlives_command and args.delay == 0):
        view = backend.wait_task(accepted.id)
        return Outcome(view, _result(view), status=0 if view.status == "succeeded" else 1)
    later = (
        "" if backend.outlives_command else " It runs once a node does: `legion start`, or `legion worker`."
    )
    return Outcome(accepted, words.typed(f"{accepted.id} is {accepted.status.replace('_', ' ')}.{later}"))


def pairs_of(given: list[str]) -> dict[str, str]:
    """`key:value` words; everything behind the first colon is the value."""
    found: dict[str, str] = {}
    for word in given:
        name, colon, value = word.partition(":")
        if not colon or not name.isidentifier():
            raise InvalidInput(
                f"{word[:80]!r} is not an argument.",
                hint="Write KEY:VALUE, such as url:https://example.org.",
            )
        if name in found:
            raise InvalidInput(f"`{name}` is given twice.")
        found[name] = value
    return found


def listing(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`list`: newest first."""
    rows = setting.backend.tasks(status=args.status, task=args.task, limit=args.limit)
    if not rows:
        return Outcome(rows, "No tasks.")
    now = words.now()
    lines = [
        (row.id, row.task, row.status, words.ago(row.created_at, now) if row.created_at else "", _why(row))
        for row in rows
    ]
    return Outcome(rows, words.table(("Task", "Function", "Status", "", ""), lines))


def show(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`show`."""
    view = setting.backend.task(args.id)
    lines = [
        ("Task", view.id),
        ("Function", view.task),
        ("Status", view.status),
        ("Why", _why(view)),
        ("Attempt", str(view.attempt)),
        ("Created", view.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S") if view.created_at else ""),
        ("Took", words.span(_took_s(view))),
        ("Arguments", _json(view.args)),
        ("Result", _json(view.result) if view.result is not None else ""),
    ]
    return Outcome(view, words.pairs(lines))


def logs(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`logs`."""
    lines = setting.backend.task_logs(args.id)
    text = "\n".join(
        f"{line.at.astimezone():%H:%M:%S} {line.level:<7} {words.harmless(line.text)}" for line in lines
    )
    return Outcome(lines, text or "The task wrote nothing.")


def cancel(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`cancel`."""
    view = setting.backend.cancel_task(args.id)
    return Outcome(view, f"{view.id} is {view.status}.")


def retry(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`retry`: as `run`, this command runs it itself where no node does."""
    view = setting.backend.retry_task(args.id)
    if not setting.backend.outlives_command:
        view = setting.backend.wait_task(view.id)
    return Outcome(view, f"{view.id} is {view.status}.")


def _result(view: TaskView) -> str:
    if view.status != "succeeded":
        return f"{view.id} {view.status}: {_why(view)}"
    if isinstance(view.result, str):
        return words.harmless(view.result)
    return words.harmless(_json(view.result)) if view.result is not None else f"{view.id} succeeded."


def _why(row: TaskRow) -> str:
    return row.reason.sentence if row.reason else ""


def _took_s(view: TaskView) -> float | None:
    if view.started_at is None or view.ended_at is None:
        return None
    return (view.ended_at - view.started_at).total_seconds()


def _json(value: Any) -> str:
    return json.dumps(msgspec.to_builtins(value), ensure_ascii=False)


ACTIONS: Actions = {
    "run": run,
    "list": listing,
    "show": show,
    "logs": logs,
    "cancel": cancel,
    "retry": retry,
}
