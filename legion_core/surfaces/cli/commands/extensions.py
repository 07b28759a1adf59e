"""`legion extension …`."""

import argparse
from typing import Any

from legion_core.api.extension_types import FunctionRow
from legion_core.surfaces.cli import words
from legion_core.surfaces.cli.outcome import Actions, Outcome, Setting

_ORIGINS = {"builtin": "built in", "installed": "installed", "folder": "folder"}


def listing(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`list`: every extension and its functions."""
    rows = setting.backend.extensions()
    lines = [
        (function.name, _ORIGINS[row.origin], _first(function.description))
        for row in rows
        for function in row.functions
    ]
    text = words.table(("Function", "From", ""), lines)
    for row in rows:
        if row.problem:
            text += f"\n\n{row.name} ({row.path or _ORIGINS[row.origin]}): {row.problem}"
    return Outcome(rows, text)


def info(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`info`: what its functions take."""
    row = setting.backend.extension(args.name)
    head = words.pairs(
        [
            ("Extension", row.name),
            ("From", _ORIGINS[row.origin]),
            ("Path", row.path),
            ("Version", row.version),
            ("About", row.description),
            ("Problem", row.problem),
        ]
    )
    parts = [head, *(_told(function) for function in row.functions)]
    if row.actors:
        lines = [
            (
                actor.function,
                actor.kind,
                actor.state,
                actor.words,
                f"{actor.runs} runs, {actor.failures} failed, {actor.skipped} skipped" if actor.runs else "",
                actor.problem,
            )
            for actor in row.actors
        ]
        parts.append(words.table(("Runs by itself", "Kind", "State", "When", "", ""), lines))
    return Outcome(row, "\n\n".join(parts))


def create(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`create`: a folder with a runner and its test."""
    made = setting.backend.create_extension(args.name)
    return Outcome(
        made, words.typed(f"{made.path} is there. Try it: legion task run {made.functions[0]} name:Ada")
    )


def _told(function: FunctionRow) -> str:
    required = set(function.arguments.get("required", ()))
    lines = [
        (
            f"  {name}",
            _kind(schema) + ("" if name in required else f", default {schema.get('default', 'empty')}"),
            str(schema.get("description", "")),
        )
        for name, schema in function.arguments.get("properties", {}).items()
    ]
    text = f"{function.name}\n  {_first(function.description)}"
    return f"{text}\n{words.table(('', '', ''), lines)}" if lines else text


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(str(choice) for choice in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(str(part.get("type", "object")) for part in schema["anyOf"])
    return str(schema.get("type", "anything"))


def _first(text: str) -> str:
    return text.partition("\n")[0]


ACTIONS: Actions = {
    "list": listing,
    "info": info,
    "create": create,
}
