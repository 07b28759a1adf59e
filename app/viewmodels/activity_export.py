"""The filtered list as a file: CSV for tables, JSON lines for programs; read and written a piece at a time."""

import asyncio
import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from legion_core.api.activity_types import ActivityRow

Form = Literal["csv", "jsonl"]
PIECE = 1000
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
COLUMNS = (
    "at", "kind", "id", "task", "status", "state", "code", "reason", "started_at", "ended_at", "took_s", "waited_s",
    "attempts", "tier", "instance", "model", "input_tokens", "output_tokens", "cost_usd", "saved_tokens", "saved_usd", "conversation", "run", "node",
    "who", "client",
)  # fmt: skip


async def write(legion: Any, keys: Sequence[str], path: Path, form: Form) -> int:
    """Write the lines of `keys` in their order; how many were written. A file that is there is replaced at the end."""
    part = path.with_name(f".{path.name}.part")
    written = 0
    try:
        for start in range(0, len(keys), PIECE):
            rows = await legion.activity.rows(keys[start : start + PIECE])
            text = await asyncio.to_thread(text_of, rows, form, with_head=start == 0)
            await asyncio.to_thread(_append, part, text, start == 0)
            written += len(rows)
        if not keys:
            await asyncio.to_thread(_append, part, text_of((), form, with_head=True), True)
        await asyncio.to_thread(part.replace, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return written


def text_of(rows: Sequence[ActivityRow], form: Form, *, with_head: bool = True) -> str:
    """Some lines as text of that form."""
    if form == "jsonl":
        return "".join(msgspec.json.encode(row).decode() + "\n" for row in rows)
    out = io.StringIO()
    writer = csv.writer(out)
    if with_head:
        writer.writerow(COLUMNS)
    for row in rows:
        values = msgspec.to_builtins(row)
        values["code"] = row.reason.code if row.reason else ""
        values["reason"] = row.reason.sentence if row.reason else ""
        writer.writerow([_plain(values.get(name)) for name in COLUMNS])
    return out.getvalue()


def _plain(value: object) -> str:
    text = "" if value is None else str(value)
    # A spreadsheet runs what begins like a formula; a number is none.
    return f"'{text}" if text[:1] in FORMULA_SIGNS and not isinstance(value, int | float) else text


def _append(path: Path, text: str, is_first: bool) -> None:
    with path.open("w" if is_first else "a", encoding="utf-8", newline="") as out:
        out.write(text)
