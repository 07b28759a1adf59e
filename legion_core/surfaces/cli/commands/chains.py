"""`legion chain …`."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, cast

import msgspec

from legion_core.api.chain_types import EdgeExplained, NodeView, RunRow, RunView
from legion_core.engine.words import typed
from legion_core.kernel.errors import InvalidInput, NotFound
from legion_core.surfaces.cli import words
from legion_core.surfaces.cli.commands.tasks import pairs_of
from legion_core.surfaces.cli.outcome import Actions, Outcome, Setting

FILE_BYTES_MAX = 8 << 20


def apply(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`apply FILE`: a file or, as `-`, standard input; kept only if nothing is wrong with it."""
    row = setting.backend.chains.apply(_text(args.file))
    return Outcome(row, f"{row.name} is version {row.version}: {row.nodes} nodes, {row.edges} edges.")


def check(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`check FILE`: every fault with its line; nothing is kept."""
    faults = setting.backend.chains.check(_text(args.file))
    lines = [
        f"{f'line {each.line}: ' if each.line else ''}{each.key}: {each.message} {each.hint}".strip()
        for each in faults
    ]
    return Outcome(faults, "\n".join(lines) or "Nothing is wrong with it.", status=1 if faults else 0)


def listing(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`list`: by name."""
    rows = setting.backend.chains.list()
    if not rows:
        return Outcome(rows, words.typed("No chains. `legion chain apply FILE` keeps one."))
    now = words.now()
    lines = [
        (row.name, str(row.version), f"{row.nodes} nodes", row.last_status or "",
         words.ago(row.last_at, now) if row.last_at else "never")
        for row in rows
    ]  # fmt: skip
    return Outcome(rows, words.table(("Chain", "Version", "", "Last run", ""), lines))


def show(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`show`: as it was written."""
    view = setting.backend.chains.show(args.name, args.version)
    return Outcome(view, words.harmless(view.text.rstrip()))


def rename(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`rename NAME TO`: with its versions and runs; what starts it by name follows."""
    renamed = setting.backend.chains.rename(args.name, args.to)
    follows = [
        f"{what} {name}"
        for what, names in (
            ("schedule", renamed.schedules), ("hook", renamed.hooks), ("chain", renamed.chains)
        )
        for name in names
    ]  # fmt: skip
    also = f" {', '.join(follows)} start{'s' * (len(follows) == 1)} it by its new name." if follows else ""
    return Outcome(renamed, f"{args.name} is {args.to} from now on.{also[:2].upper()}{also[2:]}")


def delete(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`delete`."""
    setting.backend.chains.delete(args.name)
    return Outcome({"deleted": args.name}, f"{args.name} is deleted. Its runs are kept.")


def run(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`run`: through the running node; without one this command runs the chain itself.

    Waited for, the exit status is 1 where the run did not succeed.
    """
    backend = setting.backend
    given: Any = typed({}, pairs_of(args.words))
    if args.input is not None:
        if given:
            raise InvalidInput("The input is given twice.", hint="Use KEY:VALUE words or --input, not both.")
        given = _json(args.input, "--input")
    run_id = backend.chains.run(
        args.name, given, dry_run=args.dry_run, pins=_pins(args.pin), version=args.version
    )
    if args.wait or args.dry_run or not backend.outlives_command:
        view = backend.chains.wait(run_id)
        return Outcome(view, _told(view), status=0 if view.status == "succeeded" else 1)
    return Outcome(
        {"run": run_id},
        words.typed(f"{run_id} is running. `legion chain run-show {run_id}` shows how it goes."),
    )


def runs(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`runs`: newest first."""
    rows = setting.backend.chains.runs(args.name, args.limit)
    if not rows:
        return Outcome(rows, "No runs.")
    now = words.now()
    lines = [
        (row.id, f"v{row.version}", _status(row), words.ago(row.created_at, now) if row.created_at else "",
         row.reason.sentence if row.reason else "")
        for row in rows
    ]  # fmt: skip
    return Outcome(rows, words.table(("Run", "", "Status", "", ""), lines))


def run_show(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`run-show`: each node with its reason; of one node, what went in and came out; of one edge, why."""
    if args.node:
        payload = setting.backend.chains.payload(args.id, args.node)
        return Outcome(payload, _pretty(payload))
    if args.edge is not None:
        explained = setting.backend.chains.explain(args.id, args.edge)
        return Outcome(explained, _why(explained))
    view = setting.backend.chains.run_show(args.id)
    return Outcome(view, _told(view))


def run_cancel(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`run-cancel`: what waits at once, what runs as soon as it stops."""
    view = setting.backend.chains.cancel(args.id)
    return Outcome(view, f"{view.id} is {'ending' if view.status == 'running' else view.status}.")


def replay(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`replay ID --from NODE`: a new run; as `run`, this command runs it itself where no node does."""
    backend = setting.backend
    run_id = backend.chains.replay(args.id, args.node)
    if args.wait or not backend.outlives_command:
        view = backend.chains.wait(run_id)
        return Outcome(view, _told(view), status=0 if view.status == "succeeded" else 1)
    return Outcome({"run": run_id}, f"{run_id} is running.")


def _text(name: str) -> str:
    if name == "-":
        return sys.stdin.read(FILE_BYTES_MAX + 1)
    path = Path(name)
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise InvalidInput(f"{path} is larger than {FILE_BYTES_MAX:,} bytes.")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}.") from error


def _json(text: str, what: str) -> object:
    try:
        return msgspec.json.decode(text.encode())
    except msgspec.DecodeError as error:
        raise InvalidInput(f"{what} is not JSON: {error}.") from error


def _pins(given: list[str]) -> dict[str, object]:
    pins: dict[str, object] = {}
    for word in given:
        node, sign, value = word.partition("=")
        if not sign:
            raise InvalidInput(
                f"{word[:80]!r} pins nothing.", hint='Write --pin NODE=JSON, such as get={"status":200}.'
            )
        pins[node] = _json(value, f"What is pinned to {node}")
    return pins


def _told(view: RunView) -> str:
    lines = [(each.key, each.task, each.status, _reason(each)) for each in view.nodes]
    head = f"{view.id} ({view.chain}, version {view.version}) {_status(view)}."
    why = f" {view.reason.sentence}" if view.reason else ""
    result = ""
    if view.status == "succeeded" and view.result is not None and not view.is_dry:
        result = "\n" + (
            view.result if isinstance(view.result, str) else json.dumps(view.result, ensure_ascii=False)
        )
    return words.harmless(f"{head}{why}\n{words.table(('Node', 'Task', 'Status', ''), lines)}{result}")


def _status(row: RunRow) -> str:
    return f"{row.status} (dry)" if row.is_dry else row.status


def _reason(node: NodeView) -> str:
    return node.reason.sentence if node.reason else ""


def _pretty(value: object) -> str:
    return words.harmless(json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=False))


def _why(explained: EdgeExplained) -> str:
    if not explained.is_decided:
        verdict = "was not decided"
    else:
        verdict = "led on" if explained.is_taken else "did not lead on"
    head = f"The edge from {explained.source} to {explained.target} {verdict}."
    lines = [f"{head} {explained.reason.sentence}" if explained.reason else head]
    if explained.condition is not None:
        lines += _tree(cast("dict[str, Any]", explained.condition), 1)
    return words.harmless("\n".join(lines))


def _tree(group: dict[str, Any], depth: int) -> list[str]:
    lines = [f"{'  ' * depth}{group['group']}: {'holds' if group['valid'] else 'does not hold'}"]
    for rule in group["rules"]:
        if "group" in rule:
            lines += _tree(rule, depth + 1)
        else:
            mark = "yes" if rule.get("result") else "no "
            value = f" {json.dumps(rule['value'])}" if "value" in rule else ""
            actual = json.dumps(rule.get("actual"), ensure_ascii=False)
            lines.append(
                f"{'  ' * (depth + 1)}{mark} {rule['fact']} {rule['operator']}{value} (it is {actual})"
            )
    return lines


ACTIONS: Actions = {
    "apply": apply,
    "check": check,
    "list": listing,
    "show": show,
    "rename": rename,
    "delete": delete,
    "run": run,
    "runs": runs,
    "run-show": run_show,
    "run-cancel": run_cancel,
    "replay": replay,
}
