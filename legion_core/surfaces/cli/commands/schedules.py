"""`legion schedule …`."""

import argparse
from datetime import datetime

from legion_core.api.schedule_types import Occurrence, ScheduleRow, ScheduleSpec
from legion_core.api.schedules import local_zone
from legion_core.engine.words import typed
from legion_core.surfaces.cli import words
from legion_core.surfaces.cli.commands.tasks import pairs_of
from legion_core.surfaces.cli.outcome import Actions, Outcome, Setting

RUNS_SHOWN = 10


def add(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`add`: without `--zone` a cron expression is in the zone of this machine."""
    backend = setting.backend
    schema = {} if args.target.startswith("chain:") else backend.function(args.target).arguments
    spec = ScheduleSpec(
        name=args.name,
        target=args.target,
        args=typed(schema, pairs_of(args.words)),
        cron=args.cron,
        zone=args.zone or (local_zone() if args.cron else "UTC"),
        every_s=args.every,
        missed=args.missed,
        missed_max=args.missed_max,
        overlap=args.overlap,
        jitter_s=args.jitter,
    )
    row = backend.schedules.add(spec)
    later = "" if backend.outlives_command else words.typed(" It begins once a node runs: `legion start`.")
    return Outcome(row, f"{row.name}: {row.words}. {_next(row)}{later}")


def listing(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`list`: by name."""
    rows = setting.backend.schedules.list()
    if not rows:
        return Outcome(rows, words.typed("No schedules. `legion schedule add` makes one."))
    lines = [
        (row.name, row.words, row.target, row.state, _when(row.next[0]) if row.next else "", _last(row.last))
        for row in rows
    ]
    return Outcome(rows, words.table(("Schedule", "When", "Starts", "State", "Next", "Last"), lines))


def show(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`show`: with its coming moments and its latest ones."""
    row = setting.backend.schedules.get(args.name)
    lines = [
        ("Schedule", row.name),
        ("When", row.words),
        ("Expression", f"{row.cron} ({row.zone})" if row.cron else f"every {row.every_s:g} s"),
        ("Starts", row.target),
        ("With", ", ".join(f"{name}: {value}" for name, value in row.args.items())),
        ("State", row.state),
        ("Problem", row.problem),
        ("Missed", row.missed),
        ("Overlap", row.overlap),
        ("Jitter", words.span(row.jitter_s) if row.jitter_s else ""),
        ("Next", ", ".join(_when(each) for each in row.next)),
        ("Last", _last(row.last)),
    ]
    return Outcome(row, words.pairs(lines))


def runs(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`runs`: what became of its moments, latest first."""
    rows = setting.backend.schedules.runs(args.name, args.limit)
    lines = [
        (_when(row.at), row.status, row.task or row.run, row.reason.sentence if row.reason else "")
        for row in rows
    ]
    text = words.table(("Moment", "", "Started", ""), lines) if rows else "Not once so far."
    return Outcome(rows, text)


def pause(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`pause`."""
    row = setting.backend.schedules.pause(args.name)
    return Outcome(row, f"{row.name} is {row.state}.")


def resume(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`resume`."""
    row = setting.backend.schedules.resume(args.name)
    return Outcome(row, f"{row.name} is {row.state}. {_next(row)}")


def remove(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`remove`."""
    setting.backend.schedules.remove(args.name)
    return Outcome({"removed": args.name}, f"{args.name} is removed.")


def run(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`run`: once more, outside its timing."""
    row = setting.backend.schedules.run(args.name)
    later = "" if setting.backend.outlives_command else " It runs once a node does."
    return Outcome(row, f"{row.task or row.run} is started.{later}")


def preview(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`preview`: the next moments of a timing, by the code that fires."""
    zone = args.zone or (local_zone() if args.cron else "UTC")
    found = setting.backend.schedules.preview(args.cron, zone, args.every, args.count)
    lines = "\n".join(each.astimezone().strftime("%a %Y-%m-%d %H:%M:%S %z") for each in found.fires)
    return Outcome(found, f"{found.words[:1].upper()}{found.words[1:]}:\n{lines}")


def _next(row: ScheduleRow) -> str:
    return f"Next: {_when(row.next[0])}." if row.next else ""


def _when(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _last(last: Occurrence | None) -> str:
    return f"{last.status} {_when(last.at)}" if last else ""


ACTIONS: Actions = {
    "add": add,
    "list": listing,
    "show": show,
    "runs": runs,
    "pause": pause,
    "resume": resume,
    "remove": remove,
    "run": run,
    "preview": preview,
}
