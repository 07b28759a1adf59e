"""Disks that fail on purpose, as SQLite file layers: one that records and can be cut, one that refuses."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import apsw


@dataclass(frozen=True, slots=True)
class Step:
    """One thing done to a file. `kind`: write, truncate, sync, delete, and lose: a sync that failed for good."""

    kind: str
    name: str
    offset: int = 0
    data: bytes = b""


@dataclass(slots=True)
class Recording:
    """All steps in the order the disk saw them."""

    steps: list[Step] = field(default_factory=list)
    syncs_to_fail: int = 0  # the next so many syncs of a log fail, and the kernel forgets what they held

    def syncs(self, ending: str) -> int:
        """How often a file of that ending was synced."""
        return sum(1 for step in self.steps if step.kind == "sync" and step.name.endswith(ending))


class _RecordedFile(apsw.VFSFile):
    def __init__(self, name: str, flags: list[int], recording: Recording) -> None:
        super().__init__("", name, flags)
        self._name = Path(name).name
        self._recording = recording

    def xWrite(self, data: bytes, offset: int) -> None:
        super().xWrite(data, offset)
        self._recording.steps.append(Step("write", self._name, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:
        super().xTruncate(newsize)
        self._recording.steps.append(Step("truncate", self._name, newsize))

    def xSync(self, flags: int) -> None:
        if self._recording.syncs_to_fail and self._name.endswith("-wal"):
            self._recording.syncs_to_fail -= 1
            self._recording.steps.append(Step("lose", self._name))
            raise apsw.IOError("fsync failed")
        super().xSync(flags)
        self._recording.steps.append(Step("sync", self._name))


class RecordingDisk(apsw.VFS):
    """The system's disk, with every write noted."""

    def __init__(self, name: str, recording: Recording) -> None:
        super().__init__(name, "")
        self._recording = recording

    def xOpen(self, name: "str | apsw.URIFilename | None", flags: list[int]) -> apsw.VFSFile:
        if name is None:
            return super().xOpen(name, flags)
        path = name if isinstance(name, str) else name.filename()
        return _RecordedFile(path, flags, self._recording)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        self._recording.steps.append(Step("delete", Path(filename).name))


def image_after_cut(start: dict[str, bytes], steps: list[Step], chance: random.Random) -> dict[str, bytes]:
    """What a disk holds after the power went: all that was synced, and of the rest an arbitrary part, torn by sector."""
    synced: dict[str, bytearray] = {name: bytearray(content) for name, content in start.items()}
    floating: dict[str, list[Step]] = {}
    for step in steps:
        if step.kind == "delete":
            synced.pop(step.name, None)
            floating.pop(step.name, None)
        elif step.kind == "lose":
            floating.pop(step.name, None)
        elif step.kind == "sync":
            content = synced.setdefault(step.name, bytearray())
            for earlier in floating.pop(step.name, []):
                _apply(content, earlier)
        else:
            floating.setdefault(step.name, []).append(step)
    for name, lost in floating.items():
        content = synced.setdefault(name, bytearray())
        for step in lost:
            for part in _sectors(step):
                if chance.random() < 0.5:
                    _apply(content, part)
    return {name: bytes(content) for name, content in synced.items()}


def _sectors(step: Step) -> Iterator[Step]:
    if step.kind != "write":
        yield step
        return
    for begin in range(0, len(step.data), 512):
        yield Step("write", step.name, step.offset + begin, step.data[begin : begin + 512])


def _apply(content: bytearray, step: Step) -> None:
    if step.kind == "truncate":
        del content[step.offset :]
        return
    if len(content) < step.offset:
        content.extend(bytes(step.offset - len(content)))
    content[step.offset : step.offset + len(step.data)] = step.data


class _FailingFile(apsw.VFSFile):
    def __init__(self, name: str, flags: list[int], strike: Callable[[str], None]) -> None:
        strike("open")
        super().__init__("", name, flags)
        self._strike = strike

    def xRead(self, amount: int, offset: int) -> bytes:
        self._strike("read")
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._strike("write")
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:
        self._strike("truncate")
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:
        self._strike("sync")
        super().xSync(flags)


class FailingDisk(apsw.VFS):
    """The system's disk; `strike` sees each operation's kind first and may raise one of `apsw`'s errors."""

    def __init__(self, name: str, strike: Callable[[str], None]) -> None:
        super().__init__(name, "")
        self._strike = strike

    def xOpen(self, name: "str | apsw.URIFilename | None", flags: list[int]) -> apsw.VFSFile:
        if name is None:
            return super().xOpen(name, flags)
        path = name if isinstance(name, str) else name.filename()
        return _FailingFile(path, flags, self._strike)


@contextmanager
def mounted(disk: apsw.VFS) -> Iterator[apsw.VFS]:
    """Make the disk known to SQLite for a while."""
    try:
        yield disk
    finally:
        disk.unregister()
