"""What a surface or the window sees of connected programs. Cheap to import."""

from typing import Literal

import msgspec

from legion_core.kernel.events import Event

Part = Literal["mcp", "models"]
Form = Literal["stdio", "http"]
State = Literal["connected", "found", "changed", "removed", "broken", "missing"]
Ending = Literal["restored", "cleaned", "gone"]


class ClientRow(msgspec.Struct, frozen=True, kw_only=True):
    """A program that can be connected.

    `state`: `connected`; `found` (installed, not connected); `changed` (our entry is not what we would write);
    `removed` (another program took it out); `broken` (a file cannot be read: `problem` says where); `missing` (not
    installed). `models`: whether it takes a model endpoint, and whether only when asked. `link`: an address at which the
    program installs the entry itself; empty where it has none.
    """

    name: str
    title: str
    letter: str
    state: State
    problem: str
    paths: tuple[str, ...]
    parts: tuple[Part, ...]
    form: Form
    models: Literal["written", "asked", "none"]
    no_models: str
    applied_at: str
    link: str


class DiffLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a preview. `sign`: `+`, `-`, or a blank for a line that stays; `number`: where it stands, from 1."""

    sign: str
    number: int
    text: str


class FileChange(msgspec.Struct, frozen=True, kw_only=True):
    """What would be, or was, done to one file; secrets in it are masked. `shown` is its path, short: `~` is the home."""

    path: str
    shown: str
    is_new: bool
    added: int
    removed: int
    lines: tuple[DiffLine, ...]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `notes`: what is left for the person to do."""

    client: str
    title: str
    files: tuple[FileChange, ...]
    notes: tuple[str, ...] = ()


class FileEnding(msgspec.Struct, frozen=True, kw_only=True):
    """How one file was left: as it was before byte for byte, without our keys, or untouched since they were gone."""

    path: str
    ending: Ending


class Undone(msgspec.Struct, frozen=True, kw_only=True):
    """A program that is let go; `words` say it to a person."""

    client: str
    title: str
    files: tuple[FileEnding, ...]
    words: str


class ConnectChanged(Event, frozen=True, kw_only=True):
    """A program was connected or let go."""

    client: str
