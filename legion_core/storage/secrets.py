"""Where keys and passwords are kept: the system's keyring, else a file under a passphrase, else nowhere.

Configuration holds references only, `keyring://NAME` and `env://NAME`; this is the one place that turns them into
values. A value never falls back to plain text, is never in a repr or an error, and is known here for masking.
"""

import contextlib
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import ConfigError, Denied, InvalidInput, LegionError, LimitReached, NotFound
from legion_core.kernel.files import write_atomically
from legion_core.kernel.ids import Rng
from legion_core.storage.calls import in_thread
from legion_core.storage.failures import from_os
from legion_core.storage.files import copy_aside, directory_lock
from legion_core.storage.keyring_store import Keyring
from legion_core.storage.secret_file import SecretFile

log = logging.getLogger("legion.secrets")

BackendName = Literal["keyring", "file", "none"]
Place = Literal["keyring", "file"]
VALUE_BYTES_MAX = 16 << 10
NAMES_MAX = 1000
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$")


class _Index(msgspec.Struct, frozen=True, kw_only=True):
    """Which names are kept where; a keyring cannot list them. `vault` sets this home's names apart from others'."""

    vault: str
    places: dict[str, Place] = {}


class Secrets:
    """The secrets of one home. `keyring` is the system's unless a test gives its own."""

    def __init__(
        self,
        directory: Path,
        env: Mapping[str, str],
        *,
        clock: Clock,
        rng: Rng,
        keyring: Keyring | None = None,
    ) -> None:
        self._directory = directory
        self._index_path = directory / "secrets.json"
        self._env = env
        self._clock = clock
        self._rng = rng
        self._keyring = keyring or Keyring()
        self._file = SecretFile(directory / "secrets.enc", clock, rng)
        self._known: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Secrets({str(self._directory)!r})"

    def known(self) -> tuple[str, ...]:
        """The values given out or taken in so far, for `redact`; never to be shown."""
        return tuple(self._known.values())

    def learn(self, name: str, value: str) -> None:
        """Have a value masked too that is part of a secret, or was made of one; `name` tells it from others."""
        self._know(name, value)

    async def backend(self) -> BackendName:
        """Where a new secret would go: the keyring if one answers, the file if it is unlocked, else nowhere."""
        if await self._keyring.find():
            return "keyring"
        await self._unlock_from_environment()
        return "file" if self._file.is_unlocked else "none"

    async def is_locked(self) -> bool:
        """Whether there is a file of secrets here that still wants its passphrase."""
        with contextlib.suppress(Denied):
            await self._unlock_from_environment()
        return self._file.exists and not self._file.is_unlocked

    async def unlock(self, passphrase: str) -> None:
        """Open the file, or settle the passphrase of the file to come; Denied if wrong, Corrupt if damaged."""
        await in_thread("legion-secrets", lambda: self._file.unlock(passphrase))
        self._know("", passphrase)

    async def get(self, reference: str) -> str:
        """The value behind `keyring://NAME` or `env://NAME`.

        Raises NotFound (no such name or variable), Denied (locked, or the keyring does not answer), Corrupt
        (damaged file), ConfigError (`vault://`), InvalidInput (no reference at all).
        """
        scheme, separator, name = reference.partition("://")
        match scheme if separator else "":
            case "env":
                value = self._env.get(name, "")
                if not value:
                    raise NotFound(f"The variable {name} is not set.", hint=f"Set {name} and start again.")
            case "keyring":
                value = await self._kept(_checked(name))
            case "vault":
                raise ConfigError(
                    f"{reference} cannot be read: HashiCorp Vault is not supported yet.",
                    hint="Use keyring://NAME or env://NAME until then.",
                )
            case _:  # not repeated: it may be a key somebody pasted
                raise InvalidInput(
                    "This is not a reference to a secret.", hint="Write keyring://NAME or env://NAME."
                )
        self._know(reference, value)
        return value

    async def set(self, name: str, value: str) -> str:
        """Keep the value under the name and give its reference; Denied where nothing can keep it safely."""
        _checked(name)
        if not value:
            raise InvalidInput("The secret is empty.", hint="Nothing was kept.")
        if len(value.encode()) > VALUE_BYTES_MAX:
            raise LimitReached(f"A secret may be {VALUE_BYTES_MAX >> 10} kB long, not more.")
        index = await self._read_index()
        if name not in index.places and len(index.places) >= NAMES_MAX:
            raise LimitReached(
                f"{NAMES_MAX} secrets are kept already.", hint="Remove some that are not used."
            )
        self._know(f"keyring://{name}", value)
        match await self.backend():
            case "keyring":
                # The name first: a keyring cannot list, so a secret whose name was lost could never be removed.
                noted = await self._note(name, "keyring")
                try:
                    await self._keyring.set(_service(noted), name, value)
                except LegionError:
                    await self._note(name, index.places.get(name))
                    raise
                if self._file.is_unlocked and self._file.exists:
                    await in_thread("legion-secrets", lambda: self._file.put(name, None))
            case "file":
                await in_thread("legion-secrets", lambda: self._file.put(name, value))
                await self._note(name, "file")
            case "none":
                raise Denied(
                    "There is no keyring here, and the secrets file is locked, so the secret was not kept.",
                    hint=f"Set LEGION_PASSPHRASE or unlock in the window, or put it in a variable and write env://{_variable(name)}.",
                )
        return f"keyring://{name}"

    async def remove(self, name: str) -> None:
        """Forget the secret wherever it is; NotFound if there is none of that name."""
        index = await self._read_index()
        place = index.places.get(_checked(name))
        if place is None and name not in await self.names():
            raise NotFound(f"There is no secret {name!r}.", hint="`legion secret list` shows the names.")
        if place == "keyring":
            if not await self._keyring.find():
                raise Denied(
                    f"{name!r} is kept in a keyring that does not answer now.",
                    hint="Try again on the desktop.",
                )
            await self._keyring.delete(_service(index), name)
        else:
            await self._unlock_from_environment()
            await in_thread("legion-secrets", lambda: self._file.put(name, None))
        await self._note(name, None)
        self._known.pop(f"keyring://{name}", None)

    async def names(self) -> tuple[str, ...]:
        """All names, sorted; those of a locked file too."""
        names = set((await self._read_index()).places)
        with contextlib.suppress(Denied):  # a wrong passphrase hides values, not names
            await self._unlock_from_environment()
        if self._file.is_unlocked:
            names |= set(await in_thread("legion-secrets", self._file.read))
        return tuple(sorted(names))

    async def _kept(self, name: str) -> str:
        index = await self._read_index()
        place = index.places.get(name)
        if place != "file" and index.vault and await self._keyring.find():
            value = await self._keyring.get(_service(index), name)
            if value is not None:
                return value
        elif place == "keyring":
            raise Denied(
                f"{name!r} is kept in the keyring, which does not answer here.",
                hint=f"Start on the desktop, or put it in a variable and write env://{_variable(name)}.",
            )
        await self._unlock_from_environment()
        if self._file.exists and (place == "file" or self._file.is_unlocked):
            value = (await in_thread("legion-secrets", self._file.read)).get(name)
            if value is not None:
                return value
        raise NotFound(f"There is no secret {name!r}.", hint=f"`legion secret set {name}` keeps one.")

    async def _unlock_from_environment(self) -> None:
        passphrase = self._env.get("LEGION_PASSPHRASE", "")
        if passphrase and not self._file.is_unlocked:
            await self.unlock(passphrase)

    def _know(self, reference: str, value: str) -> None:
        self._known[reference] = value

    async def _read_index(self) -> _Index:
        return await in_thread("legion-secrets", self._load_index)

    async def _note(self, name: str, place: Place | None) -> _Index:
        return await in_thread("legion-secrets", lambda: self._change_index(name, place))

    def _load_index(self) -> _Index:
        try:
            return self._decoded(self._index_path.read_bytes()) or _Index(vault="")
        except FileNotFoundError:
            return _Index(vault="")
        except OSError as error:
            raise from_os(error, self._index_path) from error

    def _decoded(self, content: bytes) -> _Index | None:
        try:
            return msgspec.json.decode(content, type=_Index)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def _change_index(self, name: str, place: Place | None) -> _Index:
        """Add or take out a name, under the lock, and give the index now written; a damaged one is laid aside."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            with directory_lock(self._directory, self._clock):
                index = None
                if self._index_path.exists():
                    index = self._decoded(self._index_path.read_bytes())
                    if index is None:
                        aside = copy_aside(self._index_path, self._clock)
                        log.warning("the list of secrets was damaged; a copy is kept as %s", aside.name)
                if index is None or not index.vault:
                    index = _Index(vault=f"{self._rng.getrandbits(64):016x}")
                places = {key: value for key, value in index.places.items() if key != name}
                if place is not None:
                    places[name] = place
                changed = msgspec.structs.replace(index, places=places)
                write_atomically(self._index_path, msgspec.json.encode(changed) + b"\n")
                return changed
        except OSError as error:
            raise from_os(error, self._index_path) from error


def _service(index: _Index) -> str:
    return f"legion-workbench/{index.vault}"


def _checked(name: str) -> str:
    if not _NAME.match(name):
        raise InvalidInput(
            "This cannot be the name of a secret.",
            hint="Use letters, digits, dot, dash, underscore and slash.",
        )
    return name


def _variable(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())
