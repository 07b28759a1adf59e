"""`legion conversation …`."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from legion_core.api.types import Conversation
from legion_core.kernel.errors import InvalidInput, NotFound
from legion_core.surfaces.cli import words
from legion_core.surfaces.cli.outcome import Actions, Outcome, Setting
from legion_core.surfaces.shapes import MessageShape

LIMIT_MAX = 500
PIECE_CHARS = 8_000_000
TELL_EVERY_BYTES = 32 << 20
LINE_CHARS_MAX = 100
ROLES = {"user": "You:", "tool": "Tools:", "system": "Instructions:"}


def listing(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`list`."""
    rows = setting.backend.conversations("", _limit(args))
    return Outcome(rows, _table(rows) or words.typed("No conversation yet. `legion chat` begins one."))


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
            words.clipped(row.snippet, 60),
        )
        for row in rows
    ]
    return words.table(("Id", "When", "Messages", "Title", ""), lines, right=(2,))


def show(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`show`."""
    found = setting.backend.conversation(args.id)
    names = {call.id: call.name for message in found.messages for call in message.calls}
    parts = [found.title or "Untitled"]
    parts += [f"{_who(message)}\n{_said(message, names)}" for message in found.messages]
    return Outcome(found, words.harmless("\n\n".join(parts)))


def _said(message: MessageShape, names: Mapping[str, str]) -> str:
    """Its words, what it called, and the beginning of what calls gave; `names` are those of the calls by their ids."""
    lines = [message.content] if message.content else []
    lines += [f"  {call.name} {_beginning(call.arguments)}" for call in message.calls]
    for each in message.results:
        more = each.text.rstrip().count("\n")
        rest = f"  (and {_plural(more, 'more line')})" if more else ""
        how = "failed" if each.is_error else "gave"
        lines.append(f"  {names.get(each.call_id, 'A tool')} {how}: {_beginning(each.text)}{rest}")
    if message.thinking and not lines:
        lines.append("  (thoughts alone)")
    return "\n".join(lines) or "  (nothing)"


def _beginning(text: str) -> str:
    line = text.strip().partition("\n")[0]
    return words.clipped(line, LINE_CHARS_MAX)


def _who(message: MessageShape) -> str:
    if message.role in ROLES:
        return ROLES[message.role]
    route = "/".join(part for part in (message.tier, message.instance, message.model) if part)
    state = "" if message.status == "complete" else f", {message.status}"
    return f"{route or message.role}{state}:"


def export(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`export`: the document goes to standard output."""
    text = setting.backend.export(args.id, args.format)
    return Outcome({"id": args.id, "format": args.format, "text": text}, text.rstrip("\n"))


def import_(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`import`: read a conversation at a time, sent a few at a time; once more adds only what is new."""
    from legion_core.gateway.document import document_of
    from legion_core.gateway.import_chats import open_chats
    from legion_core.gateway.import_types import Notes

    path = Path(args.file)
    if not path.is_file():
        raise NotFound(f"There is no file {path}.", hint="Give conversations.json, its zip, or JSON lines.")
    made, grown, known, notes = list[str](), list[str](), 0, Notes()
    told = list[str]()

    def send(piece: list[bytes]) -> None:
        nonlocal known
        took = setting.backend.import_chats(f"[{b','.join(piece).decode()}]", path.name)
        made.extend(took.conversations)
        grown.extend(took.grown)
        known += took.known
        told.extend(took.notes)

    piece, size = list[bytes](), 0
    read, told_at, total = 0, 0, path.stat().st_size

    def progress(more: int) -> None:
        nonlocal read, told_at
        read += more
        if read - told_at >= TELL_EVERY_BYTES:
            told_at = read
            setting.aside(
                f"{min(1.0, read / total):.0%} read, {words.count(len(made) + len(grown) + known)} conversations"
            )

    for chat in open_chats(path, notes, progress):
        document = document_of(chat, words.now())
        if piece and size + len(document) > PIECE_CHARS:
            send(piece)
            piece, size = [], 0
        piece.append(document)
        size += len(document)
    if piece:
        send(piece)
    said = [*notes.sentences(), *told]
    first = ", ".join(
        part
        for part, count in (
            (f"{words.count(len(made))} imported", 1),
            (f"{words.count(len(grown))} grown", len(grown)),
            (f"{words.count(known)} here already", known),
        )
        if count
    )
    return Outcome(
        {"conversations": made, "grown": grown, "known": known, "notes": said},
        words.harmless("\n".join([f"{first}.", *said])),
    )


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


def restore(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`restore`."""
    setting.backend.restore_conversation(args.id)
    return Outcome({"id": args.id}, f"{args.id} is out of the trash.")


def log(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`log`."""
    rows = setting.backend.conversation_log(args.id)
    now = words.now()
    lines = [
        (
            words.ago(row.at, now),
            row.what + (", taken back" if row.is_undone else ""),
            row.message,
            words.clipped(" → ".join(part for part in (row.was, row.now) if part), 60)
            if not row.message
            else "",
        )
        for row in rows
    ]
    return Outcome(rows, words.harmless(words.table(("When", "What", "Message", ""), lines)))


def undo(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`undo`."""
    entry = setting.backend.undo_conversation(args.id)
    return Outcome(
        entry,
        words.harmless(f"Taken back: {entry.what}" + (f", it is {entry.was} again." if entry.was else ".")),
    )


def _plural(number: int, noun: str) -> str:
    return f"{words.count(number)} {noun}{'' if number == 1 else 's'}"


def verify(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`verify`: what is damaged is named, and the command fails."""
    found = setting.backend.verify_conversations(args.id)
    what = "The conversation" if args.id else _plural(found.conversations, "conversation")
    told = f"{_plural(found.messages, 'message')} and {_plural(found.texts, 'text')}"
    if not found.damaged:
        share = (
            f", stored in {found.stored_bytes / found.said_bytes:.0%} of their bytes"
            if found.said_bytes
            else ""
        )
        head = f"\nLink of the last message: {found.head}" if found.head else ""
        return Outcome(found, f"{what}: {told} are as they were written{share}.{head}")
    rows = [
        (each.conversation, words.clipped(each.title, 40), each.message or "archive", each.what)
        for each in found.damaged
    ]
    table = words.table(("Conversation", "Title", "Message", "What is wrong"), rows)
    return Outcome(
        found, words.harmless(f"{table}\n{words.count(len(rows))} of {told} are damaged."), status=1
    )


ACTIONS: Actions = {
    "list": listing,
    "show": show,
    "search": search,
    "export": export,
    "import": import_,
    "private": private,
    "delete": delete,
    "restore": restore,
    "log": log,
    "undo": undo,
    "verify": verify,
}
