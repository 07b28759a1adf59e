"""What is kept of an unfinished download: `NAME.part` and beside it `NAME.part.json`, which says what it is a part of.

The sidecar is written before the first byte is asked for, so that a download that only waits for its turn survives
the end of the process too; it holds all that is needed to go on without asking the person again.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from legion_core.kernel.errors import LimitReached
from legion_core.kernel.files import write_atomically
from legion_core.models.store import ModelStore
from legion_core.storage.files import try_lock

Wish = Literal["", "paused", "cancelled"]


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which file of the server it is a part of, what it must become, and what a person wished of it.

    `etag`, `modified` and `total_bytes` are the server's words, empty until it answered.
    """

    url: str
    sha256: str = ""
    licence: str = ""
    allow_private: bool = False
    etag: str = ""
    modified: str = ""
    total_bytes: int = 0
    wish: Wish = ""


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A download that was begun and can be continued. `wish` empty: it was on its way when its process ended."""

    name: str
    url: str
    done_bytes: int
    total_bytes: int
    sha256: str = ""
    licence: str = ""
    allow_private: bool = False
    wish: Wish = ""


def downloads_folder(store: ModelStore) -> Path:
    """Where unfinished downloads lie."""
    return store.folder / ".downloads"


def part_file(store: ModelStore, name: str) -> Path:
    """The bytes that came so far."""
    return downloads_folder(store) / f"{name}.part"


def beside(file: Path) -> Path:
    """The sidecar of a part file."""
    return file.with_name(file.name + ".json")


def read_part(file: Path) -> Part | None:
    """The sidecar's words; None if there is none, or it cannot be read."""
    try:
        return msgspec.json.decode(beside(file).read_bytes(), type=Part)
    except (OSError, msgspec.MsgspecError):
        return None


def write_part(file: Path, part: Part) -> None:
    """Replace the sidecar at once and whole; blocks briefly."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(beside(file), msgspec.json.encode(part))


def forget_part(file: Path) -> None:
    """Delete bytes and sidecar; blocks briefly."""
    file.unlink(missing_ok=True)
    beside(file).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Held:
    """A download that this process alone works on."""

    handle: int
    path: Path

    def release(self) -> None:
        """Let others have it."""
        with suppress(OSError):  # some systems delete no open file; an empty one does no harm
            self.path.unlink(missing_ok=True)
        os.close(self.handle)


def hold_part(file: Path) -> Held:
    """Keep every other process from the same download; LimitReached if one is at it. Blocks briefly."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = file.with_suffix(".lock")
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    if not try_lock(handle):
        os.close(handle)
        raise LimitReached(f"Another process is downloading {file.stem!r}.")
    return Held(handle, path)


def waiting_in(store: ModelStore) -> tuple[Waiting, ...]:
    """Every unfinished download, by name; blocks briefly."""
    found: list[Waiting] = []
    folder = downloads_folder(store)
    for sidecar in sorted(folder.glob("*.part.json")) if folder.is_dir() else ():
        file = sidecar.with_suffix("")
        part = read_part(file)
        if part is None:
            continue
        found.append(
            Waiting(
                name=file.stem,
                url=part.url,
                done_bytes=file.stat().st_size if file.exists() else 0,
                total_bytes=part.total_bytes,
                sha256=part.sha256,
                licence=part.licence,
                allow_private=part.allow_private,
                wish=part.wish,
            )
        )
    return tuple(found)
