"""The operating system's keyring, asked in a thread with a time limit: it may be locked, absent, or never answer."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

from legion_core.kernel.errors import Denied, LegionError
from legion_core.storage.calls import Call

T = TypeVar("T")
FIND_S = 5.0
CALL_S = 60.0  # the desktop may ask for a password meanwhile, and people are slow
# Those that encrypt and belong to the system; others (plain files, null) would break the promise silently.
TRUSTED = ("SecretService", "libsecret", "kwallet", "macOS", "Windows")


class Backend(Protocol):
    """The part of `keyring.backend.KeyringBackend` we use."""

    def get_password(self, service: str, username: str) -> str | None:
        """The secret, or None."""
        ...

    def set_password(self, service: str, username: str, password: str) -> None:
        """Store it."""
        ...

    def delete_password(self, service: str, username: str) -> None:
        """Take it out."""
        ...


class Keyring:
    """The system's keyring under one service name; `find` first. One that hangs is not asked again while it does."""

    def __init__(self, backend: Backend | None = None, *, call_s: float = CALL_S) -> None:
        self._backend = backend
        self._is_sought = backend is not None
        self._call_s = call_s
        self._stuck: Call[Any] | None = None  # one that outlasted its limit

    async def find(self) -> bool:
        """Whether this computer has a keyring we may use; asked once, answers False within five seconds if unsure."""
        if not self._is_sought:
            self._is_sought = True
            with contextlib.suppress(LegionError):
                self._backend = await self._ask(_system_backend, FIND_S)
        return self._backend is not None

    async def get(self, service: str, name: str) -> str | None:
        """The secret, or None; raises Denied if the keyring is locked or does not answer."""
        backend = self._usable()
        return await self._ask(lambda: backend.get_password(service, name), self._call_s)

    async def set(self, service: str, name: str, value: str) -> None:
        """Store it and see that it is there; raises Denied as `get`."""
        backend = self._usable()

        def store() -> bool:
            backend.set_password(service, name, value)
            return backend.get_password(service, name) == value

        if not await self._ask(store, self._call_s):
            raise Denied(
                "The keyring took the secret but does not give it back.", hint="Use env://NAME instead."
            )

    async def delete(self, service: str, name: str) -> None:
        """Take it out; harmless if it is not there."""
        backend = self._usable()

        def remove() -> None:
            if backend.get_password(service, name) is not None:
                backend.delete_password(service, name)

        await self._ask(remove, self._call_s)

    def _usable(self) -> Backend:
        if self._backend is None:
            raise Denied(
                "This computer has no keyring that answers.", hint="Use env://NAME, or a passphrase."
            )
        return self._backend

    async def _ask(self, work: Callable[[], T], limit_s: float) -> T:
        if self._stuck is not None and self._stuck.is_running:
            raise _silent()
        call = Call("legion-keyring", work)
        try:
            async with asyncio.timeout(limit_s):
                return await call.future
        except TimeoutError:
            self._stuck = call
            raise _silent() from None
        except LegionError:
            raise
        except Exception as error:  # keyrings raise what their libraries raise
            raise _named(error) from error


def _system_backend() -> Backend | None:
    import keyring
    from keyring.backends.chainer import ChainerBackend

    found = keyring.get_keyring()
    chain = list(found.backends) if isinstance(found, ChainerBackend) else [found]
    for backend in chain:
        library, _, module = type(backend).__module__.rpartition(".")
        if library == "keyring.backends" and module in TRUSTED:
            return cast("Backend", backend)
    return None


def _silent() -> Denied:
    return Denied(
        "The keyring does not answer.",
        hint="Unlock it on the desktop and try again, or use env://NAME; all that needs no key goes on.",
    )


def _named(error: Exception) -> Denied:
    if type(error).__name__ == "KeyringLocked":
        return Denied(
            "The keyring is locked.", hint="Unlock it on the desktop and try again, or use env://NAME."
        )
    # The library's words could repeat what it was given; its kind is enough to look up.
    return Denied(
        f"The keyring refused ({type(error).__name__}).",
        hint="Look at the desktop's password manager, or use env://NAME.",
    )
