"""Connects other programs to this workbench: looks, previews, writes, and takes back.

What is written is remembered in `LEGION_HOME/connect`: the file as it was, and a mark for each key. All of it blocks on
the disk; it belongs in a thread.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from legion_core.connect import disk, plan
from legion_core.connect.clients import (
    CLIENTS,
    NAME,
    TITLE,
    Client,
    Form,
    Offer,
    Part,
    Surroundings,
    Target,
    find,
    folders,
    link,
    targets,
)
from legion_core.connect.jsonc import Invalid
from legion_core.connect.marks import Format, Mark
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import ConfigError, Conflict, LegionError, NotFound
from legion_core.kernel.files import write_atomically
from legion_core.storage.files import directory_lock

TRIES = 5
State = Literal["connected", "found", "changed", "removed", "broken", "missing"]
Ending = Literal["restored", "cleaned", "gone"]


class FileReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """One file we changed. `backup` names the copy of what it was; empty where there was no file."""

    path: str
    format: Format
    marks: tuple[Mark, ...]
    backup: str
    before: str
    after: str


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to a client; `before` and `after` in its files are SHA-256 in hex."""

    client: str
    form: Form
    parts: tuple[Part, ...]
    at: str
    files: tuple[FileReceipt, ...]


@dataclass(frozen=True, slots=True)
class FileChange:
    """What would be, or was, done to one file; `is_new` if there is none yet."""

    path: Path
    lines: tuple[plan.DiffLine, ...]
    is_new: bool


@dataclass(frozen=True, slots=True)
class Look:
    """How a client is now. `problem` is a sentence, in the states `broken` and `removed`."""

    client: Client
    state: State
    paths: tuple[Path, ...]
    parts: tuple[Part, ...]
    form: Form
    problem: str
    applied_at: str
    link: str


@dataclass(frozen=True, slots=True)
class _Step:
    """One file on its way from what was found, over what it was without us, to what it becomes."""

    found: disk.Found
    base: bytes | None
    after: bytes
    format: Format
    marks: tuple[Mark, ...]


class Connector:
    """`root` is the directory for what is remembered; `offer` gives what a client is offered, by its name."""

    def __init__(
        self,
        root: Path,
        where: Surroundings,
        offer: Callable[[str], Offer],
        clock: Clock,
        find_command: Callable[[str], str | None] = shutil.which,
    ) -> None:
        self._root = root
        self._where = where
        self._offer = offer
        self._clock = clock
        self._find_command = find_command

    def looks(self) -> tuple[Look, ...]:
        """Every client, in the order of `CLIENTS`; a file that cannot be read is a state, not an error."""
        return tuple(self.look(client.name) for client in CLIENTS)

    def look(self, name: str) -> Look:
        """One of them; NotFound."""
        client = find(name)
        receipt = self._receipt(client)
        parts = receipt.parts if receipt else default_parts(client)
        form: Form = receipt.form if receipt else "stdio"
        paths: tuple[Path, ...] = ()
        problem = ""
        try:
            wanted = targets(client, self._where, self._offer(name), parts, form)
            paths = tuple(dict.fromkeys(self._path(target) for target in wanted))
            state = self._state(client, receipt, wanted)
        except LegionError as error:
            state, problem = "broken", error.sentence()
        if state == "removed":
            problem = "It was connected, and another program has taken our entry out since."
        return Look(
            client=client,
            state=state,
            paths=paths,
            parts=parts,
            form=form,
            problem=problem,
            applied_at=receipt.at if receipt else "",
            link=link(client, self._offer(name)),
        )

    def preview(self, name: str, parts: Sequence[Part] = (), form: Form = "stdio") -> tuple[FileChange, ...]:
        """What `apply` would do; nothing is changed. Raises as `apply` does."""
        client = find(name)
        steps = self._steps(client, tuple(parts) or default_parts(client), form)
        return tuple(_change(step) for step in steps)

    def snippet(self, name: str, parts: Sequence[Part] = (), form: Form = "stdio") -> str:
        """What is to be copied by hand where the file is not written for the person."""
        client = find(name)
        wanted = targets(client, self._where, self._offer(name), tuple(parts) or ("mcp",), form)
        return "\n".join(plan.snippet(target) for target in wanted)

    def apply(self, name: str, parts: Sequence[Part] = (), form: Form = "stdio") -> tuple[FileChange, ...]:
        """Write our entries into the client's files, and remember how they were; once more is harmless.

        Raises ConfigError for a file that cannot be read (with line and column), Denied for one that may not be
        written, Unsupported, NotFound for a client that is not installed. Then nothing was changed.
        """
        client = find(name)
        self.refuse_missing(name)
        with self._locked():
            for left in reversed(range(TRIES)):
                steps = self._steps(client, tuple(parts) or default_parts(client), form)
                for step in steps:
                    disk.refuse_unwritable(step.found)
                try:
                    self._write(client, tuple(parts) or default_parts(client), form, steps)
                except disk.Moved:
                    if left == 0:
                        raise self._busy(client) from None
                else:
                    return tuple(_change(step) for step in steps)
        raise AssertionError

    def undo(self, name: str) -> Mapping[Path, Ending]:
        """Take out what was written, file by file.

        `restored`: the file is byte for byte what it was; `cleaned`: others changed it since, so only our keys were
        taken out; `gone`: nothing of ours stood there any more. NotFound if the client is not connected.
        """
        client = find(name)
        with self._locked():
            receipt = self._receipt(client) or self._guessed(client)
            for left in reversed(range(TRIES)):
                try:
                    endings = self._take_back(receipt)
                except disk.Moved:
                    if left == 0:
                        raise self._busy(client) from None
                else:
                    self._save(client, None)
                    self._drop_backups(client, ())
                    return endings
        raise AssertionError

    def is_installed(self, client: Client) -> bool:
        """Whether the program, or what it left on the disk, is there."""
        return any(Path(folder).exists() for folder in folders(client, self._where)) or any(
            self._find_command(command) for command in client.commands
        )

    def _state(self, client: Client, receipt: Receipt | None, wanted: tuple[Target, ...]) -> State:
        standings = [self._standing(target) for target in wanted]
        if all(each == "absent" for each in standings):
            if receipt:
                return "removed"
            return "found" if self.is_installed(client) else "missing"
        if receipt is None and standings[0] == "ours":
            return "connected"  # put in by hand or by a link, and right
        return "connected" if all(each == "ours" for each in standings) else "changed"

    def _standing(self, target: Target) -> plan.Standing:
        found = disk.read(self._path(target))
        if found.content is None:
            return "absent"
        text = found.text()
        if target.format != "toml" and NAME not in text and TITLE not in text and _is_plain(text):
            return "absent"
        with _naming(found.path):
            return plan.standing(text, target)

    def _path(self, target: Target) -> Path:
        paths = [Path(candidate) for candidate in target.candidates]
        there = [path for path in paths if path.exists() or path.is_symlink()]
        beside = [path for path in paths if path.parent.is_dir()]
        return (there or beside or paths)[0]

    def _steps(self, client: Client, parts: tuple[Part, ...], form: Form) -> list[_Step]:
        receipt = self._receipt(client)
        remembered = {Path(each.path): each for each in receipt.files} if receipt else {}
        by_path: dict[Path, list[Target]] = {}
        for target in targets(client, self._where, self._offer(client.name), parts, form):
            by_path.setdefault(self._path(target), []).append(target)
        steps: list[_Step] = []
        for path, wanted in by_path.items():
            found = disk.read(path)
            before = remembered.pop(found.path, None)
            steps.append(self._step(found, wanted, before))
        # A file that was part of the last time and is not of this one goes back to what it was.
        for path, before in remembered.items():
            found = disk.read(path)
            if found.content is not None:
                steps.append(self._step(found, [], before))
        return steps

    def _step(self, found: disk.Found, wanted: list[Target], before: FileReceipt | None) -> _Step:
        with _naming(found.path):
            base = self._without_us(found, before) if before else found.content
            text = disk.Found(found.path, base).text()
            marks: list[Mark] = []
            for target in wanted:
                text, made = plan.changed(text, target)
                marks += made
        format_ = wanted[0].format if wanted else before.format if before else "json"
        return _Step(found, base, disk.Found(found.path, base).encoded(text), format_, tuple(marks))

    def _without_us(self, found: disk.Found, before: FileReceipt) -> bytes | None:
        """The file as it would be without what the receipt remembers."""
        kept = self._backup(before)
        if found.content is None:
            return None
        if _sum(found.content) == before.after:
            return kept
        text = plan.restored(found.text(), before.format, before.marks)
        if not before.backup and text.strip() in ("", "{}", "[]"):
            return None
        return found.encoded(text)

    def _write(self, client: Client, parts: tuple[Part, ...], form: Form, steps: list[_Step]) -> None:
        """Remember first, then write: a crash in between leaves a receipt of something that is not there."""
        old = self._receipt(client)
        files = [self._remember(client, step) for step in steps if step.marks]
        self._save(
            client, Receipt(client=client.name, form=form, parts=parts, at=self._now(), files=tuple(files))
        )
        done: list[tuple[disk.Found, bytes | None]] = []
        try:
            for step in steps:
                if step.base is None and not step.marks:
                    disk.remove(step.found)
                    done.append((step.found, None))
                elif step.after != step.found.content:
                    disk.replace(step.found, step.after)
                    done.append((step.found, step.after))
        except BaseException:
            _roll_back(done)
            self._save(client, old)
            raise
        self._drop_backups(client, files)

    def _take_back(self, receipt: Receipt) -> dict[Path, Ending]:
        work: list[tuple[disk.Found, bytes | None, Ending]] = []
        for each in receipt.files:
            found = disk.read(Path(each.path))
            disk.refuse_unwritable(found)
            with _naming(found.path):
                after = self._without_us(found, each)
            kept = self._backup(each)
            is_known = _sum(found.content or b"") == each.after or after == kept
            ending: Ending = "gone" if after == found.content else "restored" if is_known else "cleaned"
            work.append((found, after, ending))
        done: list[tuple[disk.Found, bytes | None]] = []
        try:
            for found, after, ending in work:
                if ending == "gone":
                    continue
                if after is None:
                    disk.remove(found)
                else:
                    disk.replace(found, after)
                done.append((found, after))
        except BaseException:
            _roll_back(done)
            raise
        return {found.path: ending for found, _, ending in work}

    def _guessed(self, client: Client) -> Receipt:
        """A receipt for entries nobody remembers writing: by hand, by a link, or by an older home."""
        files: list[FileReceipt] = []
        for part in ("mcp", "models"):
            try:
                wanted = targets(client, self._where, self._offer(client.name), (part,))
            except LegionError:
                continue
            for target in wanted:
                if self._standing(target) != "absent":
                    path = str(disk.read(self._path(target)).path)
                    marks = plan.marks_of(target)
                    files.append(
                        FileReceipt(
                            path=path, format=target.format, marks=marks, backup="-", before="", after=""
                        )
                    )
        if not files:
            raise NotFound(f"{client.title} is not connected.")
        return Receipt(client=client.name, form="stdio", parts=("mcp",), at="", files=tuple(files))

    def _remember(self, client: Client, step: _Step) -> FileReceipt:
        backup = ""
        if step.base is not None:
            backup = f"{client.name}.{_sum(step.base)[:32]}.before"
            write_atomically(self._root / backup, step.base)
        return FileReceipt(
            path=str(step.found.path), format=step.format, marks=step.marks, backup=backup,
            before=_sum(step.base or b""), after=_sum(step.after),
        )  # fmt: skip

    def _backup(self, receipt: FileReceipt) -> bytes | None:
        if not receipt.backup or receipt.backup == "-":
            return None
        content = (self._root / receipt.backup).read_bytes()
        if _sum(content) != receipt.before:
            raise ConfigError(
                f"The backup {self._root / receipt.backup} is not what was kept.",
                hint="Nothing was changed. Take our entry out by hand.",
            )
        return content

    def _receipt(self, client: Client) -> Receipt | None:
        path = self._receipt_path(client)
        try:
            return msgspec.json.decode(path.read_bytes(), type=Receipt)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise ConfigError(
                f"{path}, which remembers what was written for {client.title}, cannot be read: {error}.",
                hint="Delete it: our entry is then taken out without the backup.",
            ) from None

    def _save(self, client: Client, receipt: Receipt | None) -> None:
        path = self._receipt_path(client)
        if receipt is None:
            path.unlink(missing_ok=True)
        else:
            write_atomically(path, msgspec.json.format(msgspec.json.encode(receipt)))

    def _drop_backups(self, client: Client, kept: Sequence[FileReceipt]) -> None:
        names = {each.backup for each in kept}
        for path in self._root.glob(f"{client.name}.*.before"):
            if path.name not in names:
                path.unlink(missing_ok=True)

    def _receipt_path(self, client: Client) -> Path:
        return self._root / f"{client.name}.json"

    def _locked(self) -> AbstractContextManager[None]:
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        return directory_lock(self._root, self._clock)

    def _now(self) -> str:
        return self._clock.utc_now().isoformat(timespec="seconds")

    def refuse_missing(self, name: str) -> None:
        """Raise NotFound unless the client is installed."""
        client = find(name)
        if not self.is_installed(client):
            commands = " or ".join(client.commands)
            raise NotFound(
                f"{client.title} is not installed here: neither its folder nor {commands} was found.",
                hint=f"Install it first, or copy the entry: legion connect preview {client.name}",
            )

    def _busy(self, client: Client) -> Conflict:
        return Conflict(
            f"{client.title} keeps writing its file while we do.", hint="Close it, then try again."
        )


def default_parts(client: Client) -> tuple[Part, ...]:
    """What is written unless the person says otherwise."""
    return ("mcp", "models") if client.models == "written" else ("mcp",)


@contextmanager
def _naming(path: Path) -> Generator[None]:
    """Says which file a fault of the format stands in."""
    try:
        yield
    except Invalid as error:
        why = f"{error.words[:1].lower()}{error.words[1:]} (line {error.line}, column {error.column})"
        raise disk.unusable(path, why) from None
    except ConfigError as error:
        if str(path) in error.message:
            raise
        raise ConfigError(f"{path}: {error.message}", hint=error.hint) from None


def _change(step: _Step) -> FileChange:
    before = disk.Found(step.found.path, step.found.content).text()
    after = disk.Found(step.found.path, step.after).text()
    return FileChange(
        path=step.found.path, lines=plan.difference(before, after), is_new=step.found.content is None
    )


def _roll_back(done: list[tuple[disk.Found, bytes | None]]) -> None:
    """Put back what was found, where nobody else has written since."""
    for found, after in done:
        with suppress(disk.Moved, LegionError):
            now = disk.Found(found.path, after)
            if found.content is None:
                disk.remove(now)
            else:
                disk.replace(now, found.content)


def _is_plain(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def surroundings(env: Mapping[str, str], platform: str) -> Surroundings:
    """This machine as `env` describes it."""
    home = env.get("HOME") or env.get("USERPROFILE") or os.path.expanduser("~")
    return Surroundings(home=Path(home), platform=platform, env=env)
