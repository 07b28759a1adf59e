"""`legion conversation …`."""

import argparse
import json
from pathlib import Path
from typing import cast

from legion_core.api.types import Conversation
from legion_core.kernel.errors import InvalidInput
from legion_core.surfaces.cli import words
from legion_core.surfaces.cli.outcome import Actions, Outcome, Setting
from legion_core.surfaces.shapes import MessageShape

LIMIT_MAX = 500
PIECE_CHARS = 8_000_000


def listing(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`list`."""
    rows = setting.backend.conversations("", _limit(args))
    return Outcome(rows, _table(rows) or "No conversation yet. `legion chat` begins one.")


def search(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`search`."""
    rows = setting.backend.conversations(args.text, _limit(args))
    return Outcome(rows, _table(rows) or f"Nothing holds {args.text!r}.")


def _limit(args: argparse.Namespace) -> int:
    if not 1 <= args.limit <= LIMIT_MAX:
        raise InvalidInput(f"--limit takes a number from 1 to {LIMIT_MAX}.")
    return int(args.limit)


def _table(rows: tuple[Conversation, ...]) -> str:
    if not rows:
        return ""
    now = words.now()
    lines = [
        (
            row.id,
            words.ago(row.updated_at, now),
            words.count(row.message_count),
            ("* " if row.is_pinned else "") + (row.title or "Untitled"),
            row.snippet[:60],
        )
        for row in rows
    ]
    return words.table(("Id", "When", "Messages", "Title", ""), lines, right=(2,))


def show(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`show`."""
    found = setting.backend.conversation(args.id)
    parts = [found.title or "Untitled"]
    parts += [f"{_who(message)}\n{message.content}" for message in found.messages]
    return Outcome(found, words.harmless("\n\n".join(parts)))


def _who(message: MessageShape) -> str:
    if message.role == "user":
        return "You:"
    route = "/".join(part for part in (message.tier, message.instance, message.model) if part)
    state = "" if message.status == "complete" else f", {message.status}"
    return f"{route or message.role}{state}:"


def export(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`export`: the document goes to standard output."""
    text = setting.backend.export(args.id, args.format)
    return Outcome({"id": args.id, "format": args.format, "text": text}, text.rstrip("\n"))


def import_(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`import`: the file in pieces of whole conversations, each taken whole or not at all."""
    try:
        data = Path(args.file).read_bytes()
    except OSError as error:
        raise InvalidInput(f"{args.file} cannot be read: {error.strerror}.") from error
    made, known = list[str](), 0
    for text in _pieces(data.decode("utf-8", "replace")):
        took = setting.backend.import_chats(text, Path(args.file).name)
        made += took.conversations
        known += took.known
    told = f"{words.count(len(made))} imported" + (f", {words.count(known)} here already" if known else "")
    return Outcome({"conversations": made, "known": known}, f"{told}.")


def _pieces(text: str) -> list[str]:
    """A large list of conversations in parts, for a request has a bound."""
    if len(text) <= PIECE_CHARS:
        return [text]
    try:
        rows = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return [text]
    if not isinstance(rows, list):
        return [text]
    pieces, piece, size = list[str](), list[str](), 0
    for row in cast("list[object]", rows):
        told = json.dumps(row)
        if piece and size + len(told) > PIECE_CHARS:
            pieces.append(f"[{','.join(piece)}]")
            piece, size = [], 0
        piece.append(told)
        size += len(told)
    return [*pieces, f"[{','.join(piece)}]"]


def private(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`private`."""
    is_private = args.state == "on"
    setting.backend.keep_private(args.id, is_private)
    told = "stays on this computer, whatever is pinned" if is_private else "is no longer marked private"
    return Outcome({"id": args.id, "private": is_private}, f"{args.id} {told}.")


def delete(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`delete`."""
    setting.backend.delete_conversation(args.id)
    return Outcome({"id": args.id}, f"{args.id} is in the trash.")


ACTIONS: Actions = {
    "list": listing,
    "show": show,
    "search": search,
    "export": export,
    "import": import_,
    "private": private,
    "delete": delete,
}
