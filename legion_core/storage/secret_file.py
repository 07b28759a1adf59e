"""Secrets in one encrypted file, for computers without a keyring: scrypt for the passphrase, AES-256-GCM for the rest.

All of it blocks (scrypt takes about a tenth of a second by design) and belongs to a thread.
"""

import hashlib
from pathlib import Path

import msgspec

from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import ConfigError, Corrupt, Denied, InvalidInput
from legion_core.kernel.faults import fault
from legion_core.kernel.files import write_atomically
from legion_core.kernel.ids import Rng
from legion_core.storage.failures import from_os
from legion_core.storage.files import copy_aside, directory_lock
from legion_core.storage.home import keep_private

VERSION = 1
SCRYPT_N = 1 << 15  # 32 MB for a moment: what OWASP asks of scrypt at r=8, p=1 is within a factor of four
SCRYPT_N_MAX = 1 << 20
SIZE_BYTES_MAX = 4 << 20


class _Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """The file as it lies on disk; `sum` tells damage from a wrong passphrase."""

    format: str
    version: int
    n: int
    salt: bytes
    nonce: bytes
    data: bytes
    sum: str = ""

    def checksum(self) -> str:
        return hashlib.sha256(
            b"|".join([b"%d|%d" % (self.version, self.n), self.salt, self.nonce, self.data])
        ).hexdigest()


class SecretFile:
    """The file and, once unlocked, its passphrase. Every call reads the file anew: another process may write it too."""

    def __init__(self, path: Path, clock: Clock, rng: Rng) -> None:
        self._path = path
        self._clock = clock
        self._rng = rng
        self._passphrase: str | None = None
        self._keys: dict[tuple[str, bytes, int], bytes] = {}  # what scrypt gave, so that it is asked once

    def __repr__(self) -> str:
        return f"SecretFile({self._path.name!r}, {'locked' if self._passphrase is None else 'unlocked'})"

    @property
    def exists(self) -> bool:
        """Whether there is such a file."""
        return self._path.exists()

    @property
    def is_unlocked(self) -> bool:
        """Whether a passphrase was given that fitted, or that a new file will be made with."""
        return self._passphrase is not None

    def unlock(self, passphrase: str) -> None:
        """Hold the passphrase; raises Denied if it is wrong, Corrupt if the file is damaged."""
        if not passphrase:
            raise InvalidInput("The passphrase is empty.", hint="Choose some words only you know.")
        self._open(passphrase)
        self._passphrase = passphrase

    def read(self) -> dict[str, str]:
        """All secrets by name; raises Denied while locked."""
        return self._open(self._held())

    def put(self, name: str, value: str | None) -> None:
        """Write one secret, or with None take it out; the others stay, also those another process wrote."""
        passphrase = self._held()
        with directory_lock(self._path.parent, self._clock):
            secrets = self._open(passphrase)
            if value is None:
                secrets.pop(name, None)
            else:
                secrets[name] = value
            self._write(secrets, passphrase)

    def _held(self) -> str:
        if self._passphrase is None:
            raise Denied(
                "The secrets are locked.",
                hint="Unlock them in the window, or set LEGION_PASSPHRASE and start again.",
            )
        return self._passphrase

    def _open(self, passphrase: str) -> dict[str, str]:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        sealed = self._sealed()
        if sealed is None:
            return {}
        key = self._key(passphrase, sealed.salt, sealed.n)
        try:
            clear = AESGCM(key).decrypt(sealed.nonce, sealed.data, _bound(sealed.salt, sealed.n))
        except InvalidTag:
            self._keys = {}
            raise Denied(
                "The passphrase does not open the secrets.",
                hint="Try again. If the file was replaced since, it needs the passphrase it was made with.",
            ) from None
        return msgspec.json.decode(clear, type=dict[str, str])

    def _sealed(self) -> _Sealed | None:
        try:
            keep_private(self._path)
            with self._path.open("rb") as stream:
                content = stream.read(SIZE_BYTES_MAX)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise from_os(error, self._path) from error
        try:
            sealed = msgspec.json.decode(content, type=_Sealed)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._damaged() from None
        if sealed.format == "legion-secrets" and sealed.version > VERSION:
            raise ConfigError(
                f"{self._path} was written by a newer version of the workbench.",
                hint="Start that one; nothing was changed.",
            )
        if sealed.sum != sealed.checksum() or not 2 <= sealed.n <= SCRYPT_N_MAX or len(sealed.nonce) != 12:
            raise self._damaged()
        return sealed

    def _damaged(self) -> Corrupt:
        aside = copy_aside(self._path, self._clock)
        return Corrupt(
            f"{self._path} is damaged and was not changed.",
            hint=f"A copy is kept as {aside.name}. Restore a good copy, or move the file away and enter the keys again.",
        )

    def _write(self, secrets: dict[str, str], passphrase: str) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        before = self._sealed()
        salt = before.salt if before is not None else self._rng.getrandbits(128).to_bytes(16, "big")
        nonce = self._rng.getrandbits(96).to_bytes(12, "big")
        data = AESGCM(self._key(passphrase, salt, SCRYPT_N)).encrypt(
            nonce, msgspec.json.encode(secrets), _bound(salt, SCRYPT_N)
        )
        sealed = _Sealed(
            format="legion-secrets", version=VERSION, n=SCRYPT_N, salt=salt, nonce=nonce, data=data
        )
        sealed = msgspec.structs.replace(sealed, sum=sealed.checksum())
        try:
            fault("secrets.write")
            write_atomically(self._path, msgspec.json.encode(sealed) + b"\n")
        except OSError as error:
            raise from_os(error, self._path) from error

    def _key(self, passphrase: str, salt: bytes, n: int) -> bytes:
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

        asked = (passphrase, salt, n)
        key = self._keys.get(asked)
        if key is None:  # two threads may come here at once: then both derive the same
            key = Scrypt(salt=salt, length=32, n=n, r=8, p=1).derive(passphrase.encode())
            self._keys = {asked: key}
        return key


def _bound(salt: bytes, n: int) -> bytes:
    """What the cipher vouches for beside the secrets: nobody can weaken the header unseen."""
    return b"legion-secrets|%d|%d|" % (VERSION, n) + salt
