"""Reads conversations that were exported elsewhere: ChatGPT's and Claude's exports, plain JSON lines, and our own documents.

A file or a zip of any size is read with the memory of its largest conversation. A conversation that cannot be read is left out
and named with its place; what is no export at all is refused. Trees of edits and regenerated answers come over whole, with the
branch that was shown last on top. Bytes that are not UTF-8 become U+FFFD.
"""

import base64
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from legion_core.gateway.document import chat_of, is_document
from legion_core.gateway.import_chatgpt import chatgpt_chat
from legion_core.gateway.import_claude import claude_chat, claude_project
from legion_core.gateway.import_stream import CutShort, Readable, objects_in
from legion_core.gateway.import_types import FindImage, ImportedChat, Node, Notes, message_of, no_image
from legion_core.gateway.types import ImageBlock, JsonObject, TextBlock
from legion_core.kernel.errors import InvalidInput

__all__ = ["ImportedChat", "Node", "Notes", "open_chats", "read_chats"]

CHATS_MAX = 200_000
LINES_BYTES_MAX = 256 << 20  # of one conversation in lines
IMAGE_BYTES_MAX = 8 << 20
MEMBERS_MAX = 200_000
BROKEN_TOLD = 100
HEAD_BYTES = 1 << 16
IMAGE_KINDS = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}


def read_chats(data: bytes, name: str = "the file", notes: Notes | None = None) -> tuple[ImportedChat, ...]:
    """Every conversation in some bytes with at least one message; InvalidInput where there is none to be read."""
    kept = notes or Notes()
    return tuple(_of_file(io.BytesIO(data), name, kept, lambda count: None))


def open_chats(
    path: Path, notes: Notes, on_read: Callable[[int], None] = lambda count: None
) -> Iterator[ImportedChat]:
    """The conversations of a file or a zip, one at a time; `on_read` is told bytes of the file as they are read."""
    try:
        if zipfile.is_zipfile(path):
            yield from _of_zip(path, notes, on_read)
            return
        with path.open("rb") as file:
            yield from _of_file(file, path.name, notes, on_read)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}.") from error


def _of_zip(path: Path, notes: Notes, on_read: Callable[[int], None]) -> Iterator[ImportedChat]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > MEMBERS_MAX:
                raise InvalidInput(f"{path.name} holds {len(members):,} files; {MEMBERS_MAX:,} is the most.")
            wanted = [member for member in members if _is_chats(member.filename)]
            if not wanted:
                raise InvalidInput(
                    f"{path.name} holds no conversations.json.",
                    hint="Give the zip as ChatGPT or Claude sent it.",
                )
            find_image = _finder(archive, members)
            for member in sorted(wanted, key=lambda each: each.filename):
                ratio = member.compress_size / max(1, member.file_size)
                with archive.open(member) as file:
                    yield from _of_list(
                        file, f"{member.filename} in {path.name}", notes,
                        lambda count, ratio=ratio: on_read(int(count * ratio)), find_image,
                    )  # fmt: skip
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise InvalidInput(
            f"{path.name} is a damaged or locked zip: {error}.", hint="Download it again."
        ) from error


def _is_chats(name: str) -> bool:
    last = name.rpartition("/")[2].lower()
    return last.endswith(".json") and (last.startswith("conversations") or last == "projects.json")


def _finder(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> FindImage:
    """Pictures of the archive by the mark their names begin with."""
    import re

    by_mark = dict[str, zipfile.ZipInfo]()
    for member in members:
        if found := re.match(r"file[-_][A-Za-z0-9]+", member.filename.rpartition("/")[2]):
            by_mark.setdefault(found[0], member)

    def find(mark: str) -> ImageBlock | None:
        member = by_mark.get(mark)
        if member is None or member.file_size > IMAGE_BYTES_MAX:
            return None
        data = archive.read(member)
        kind = next((kind for head, kind in IMAGE_KINDS.items() if data.startswith(head)), "")
        if not kind:
            return None
        return ImageBlock(media_type=kind, data=base64.b64encode(data).decode())

    return find


def _of_file(
    file: BinaryIO, name: str, notes: Notes, on_read: Callable[[int], None]
) -> Iterator[ImportedChat]:
    head = file.read(HEAD_BYTES)
    file.seek(0)
    if _is_list(head):
        yield from _of_list(file, name, notes, on_read, no_image)
        return
    data = file.read(LINES_BYTES_MAX + 1)
    on_read(len(data))
    if len(data) > LINES_BYTES_MAX:
        raise InvalidInput(f"{name} is one conversation of more than {LINES_BYTES_MAX >> 20} MB in lines.")
    yield _lines(data, name)


def _is_list(head: bytes) -> bool:
    """Whether what begins so is a list of conversations, or an object with one; else it is messages."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"{"):
        first = text.split(b"\n", 1)[0]
        marks = (b'"mapping"', b'"chat_messages"', b'"conversations"', b'"legion-conversation"')
        is_message = b'"role"' in first and b'"content"' in first and not any(mark in first for mark in marks)
        return not is_message and any(mark in text for mark in marks)
    marks = (b'"mapping"', b'"chat_messages"', b'"legion-conversation"', b'"prompt_template"')
    return (
        text.startswith(b"[")
        and (any(mark in text for mark in marks) or b'"role"' not in text)
        and text[1:].strip() != b""
    )


def _of_list(
    file: "SeekableFile", name: str, notes: Notes, on_read: Callable[[int], None], find_image: FindImage
) -> Iterator[ImportedChat]:
    place = taken = 0
    try:
        for row in _rows(file, on_read):
            place += 1
            if place > CHATS_MAX:
                raise InvalidInput(f"{name} holds more than {CHATS_MAX:,} conversations.")
            try:
                chat = _chat(row, notes, find_image)
            except (
                TypeError,
                ValueError,
                KeyError,
                AttributeError,
                IndexError,
                msgspec.ValidationError,
            ) as error:
                if len(notes.broken) < BROKEN_TOLD:
                    notes.broken.append(
                        f"Conversation {place} of {name} is not what an export writes: {error}."
                    )
                continue
            if chat is not None and chat.nodes:
                taken += 1
                yield chat
    except CutShort as error:
        raise InvalidInput(
            f"{name}: {error}, after {place:,} conversations.",
            hint="What came before was taken. Export it again.",
        ) from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            f"Conversation {place + 1} of {name} is no JSON: {error}.", hint="What came before was taken."
        ) from error
    if not taken and notes.broken:
        raise InvalidInput(notes.broken[0], hint="Nothing was imported.")
    if not place:
        raise InvalidInput(
            f"{name} holds no conversation.", hint="Give conversations.json, its zip, or JSON lines."
        )


def _rows(file: "SeekableFile", on_read: Callable[[int], None]) -> Iterator[JsonObject]:
    """The conversations of a list; a file that is one conversation is a list of one."""
    head = file.read(HEAD_BYTES)
    file.seek(0)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    marks = (b'"mapping"', b'"chat_messages"', b'"legion-conversation"')
    if text.startswith(b"{") and not (
        b'"conversations"' in text and not any(m in text.split(b'"conversations"')[0] for m in marks)
    ):
        yield from objects_in(_Framed(file), on_read)
        return
    yield from objects_in(file, on_read)


class SeekableFile(Readable, Protocol):
    """A file that can be read again from its beginning."""

    def seek(self, offset: int, /) -> int:
        """Go on from there."""
        ...


class _Framed:
    """One object as a list of one."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._state = 0

    def read(self, size: int = -1, /) -> bytes:
        """`[`, the file, `]`."""
        if self._state == 0:
            self._state = 1
            return b"["
        if self._state == 1 and (piece := self._file.read(size)):
            return piece.removeprefix(b"\xef\xbb\xbf")
        state, self._state = self._state, 2
        return b"]" if state == 1 else b""


def _chat(row: JsonObject, notes: Notes, find_image: FindImage) -> ImportedChat | None:
    if is_document(row):
        return chat_of(row)
    if "mapping" in row:
        return chatgpt_chat(row, notes, find_image)
    if "chat_messages" in row:
        return claude_chat(row, notes)
    if "docs" in row or "prompt_template" in row:
        return claude_project(row, notes)
    raise ValueError("it has neither `mapping` nor `chat_messages`")


def _lines(data: bytes, name: str) -> ImportedChat:
    from legion_core.gateway.transcripts import read_transcript

    chat = ImportedChat()
    transcript = read_transcript(data, name)
    for text in transcript.system:
        if text.strip():
            above = len(chat.nodes) - 1 if chat.nodes else None
            chat.nodes.append(Node(message_of("user", [TextBlock(text=text)]), above, is_system=True))
    for entry in transcript.entries:
        if entry.message.content:
            chat.nodes.append(Node(entry.message, len(chat.nodes) - 1 if chat.nodes else None))
    chat.head = len(chat.nodes) - 1 if chat.nodes else None
    return chat
