"""The key that seals the audit log: in the system's keyring, else in the encrypted file of secrets, else in a file of its own.

The last is honest but weaker: whoever can read the whole home can also seal. `place` says which it is, so that a check can.
"""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

from legion_core.kernel.errors import Corrupt, Denied, LegionError, NotFound
from legion_core.kernel.files import sync_directory
from legion_core.kernel.ids import Rng
from legion_core.rbac import audit_store as store
from legion_core.storage.calls import in_thread
from legion_core.storage.failures import from_os
from legion_core.storage.home import keep_private
from legion_core.storage.sqlite import Database

NAME: Final = "audit-key"
FILE: Final = "audit.key"


class Keeper(Protocol):
    """What is asked of the secrets of a home."""

    async def backend(self) -> str:
        """`keyring`, `file` or `none`."""
        ...

    async def get(self, reference: str) -> str:
        """The value behind a reference."""
        ...

    async def set(self, name: str, value: str) -> str:
        """Keep one and give its reference."""
        ...


@dataclass(frozen=True, slots=True)
class SealKey:
    """The key; never in a repr. `place` is `keyring`, `file` (encrypted) or `plain`."""

    value: bytes = field(repr=False)
    place: str

    @property
    def id(self) -> str:
        """Tells keys apart without telling the key."""
        return _id_of(self.value)


async def open_key(home: Path, secrets: Keeper, database: Database, rng: Rng) -> SealKey:
    """The key in use; made and noted where there is none yet. Raises Denied while the place it lies in is locked."""
    for _ in range(3):  # another process may make the first one at the same time: then theirs is taken
        known = await database.read(store.key_in_use)
        if known is not None:
            key_id, place = known
            value = await _fetch(home, secrets, place)
            if value is not None and _id_of(value) == key_id:
                return SealKey(value, place)
            if value is None and place != "plain":
                raise Denied(
                    "The key of the audit log is gone from where it was kept.",
                    hint="Restore the secret `audit-key`, so that what was recorded can still be checked.",
                )
            instead_of = key_id
        else:
            instead_of = ""
        made = rng.getrandbits(256).to_bytes(32, "big")
        place = await _keep(home, secrets, made, is_first=known is None)
        value = await _fetch(home, secrets, place)
        if value is None:
            continue
        fresh = SealKey(value, place)

        def say(connection: store.Connection, fresh: SealKey = fresh, instead_of: str = instead_of) -> bool:
            return store.note_key(connection, fresh.id, fresh.place, instead_of)

        if await database.write(say):
            return fresh
    raise Corrupt("The key of the audit log cannot be agreed on.", hint="Start the workbench again.")


async def _fetch(home: Path, secrets: Keeper, place: str) -> bytes | None:
    if place == "plain":
        return await in_thread("audit key", lambda: _read(home / FILE))
    try:
        return bytes.fromhex(await secrets.get(f"keyring://{NAME}"))
    except NotFound:
        return None
    except ValueError:
        return None


async def _keep(home: Path, secrets: Keeper, value: bytes, *, is_first: bool) -> str:
    if is_first:
        try:
            place = await secrets.backend()
            if place in ("keyring", "file"):
                known = await _fetch(home, secrets, place)
                if known is None:
                    await secrets.set(NAME, value.hex())
                return place
        except LegionError:
            pass  # locked, or it does not answer: the file of its own then
    await in_thread("audit key", lambda: _write(home / FILE, value))
    return "plain"


def _read(path: Path) -> bytes | None:
    try:
        keep_private(path)
        if path.is_symlink():
            return None
        return bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (FileNotFoundError, ValueError):
        return None
    except OSError as error:
        raise from_os(error, path) from error


def _write(path: Path, value: bytes) -> None:
    """Only where there is none that can be read: two processes must not each make their own."""
    if _read(path) is not None:
        return
    try:
        path.unlink(missing_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(handle, value.hex().encode("ascii") + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)
        sync_directory(path.parent)
    except FileExistsError:
        return
    except OSError as error:
        raise from_os(error, path) from error


def _id_of(value: bytes) -> str:
    return sha256(b"legion-audit-key\0" + value).hexdigest()[:16]


OpenKey = Callable[[], Awaitable[SealKey]]
