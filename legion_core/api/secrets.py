"""Secrets by name: set, removed, listed, never shown."""

from collections.abc import Awaitable, Callable

from legion_core.api.settings import Record, unrecorded
from legion_core.kernel.errors import InvalidInput
from legion_core.storage.secrets import Secrets

# The key of the audit log: to show, replace or forget it would be to give up what the log is for.
OWN = frozenset({"audit-key"})


class SecretNames:
    """What the window and the command line may do with secrets; a value goes in and never comes out."""

    def __init__(
        self,
        secrets: Secrets,
        record: Record | None = None,
        changed: Callable[[str], Awaitable[None]] | None = None,
        unlocked: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`record` writes down what is about to be changed, or refuses it; `changed` hears of the name once it was.

        `unlocked` is called once all that is kept can be read.
        """
        self._secrets = secrets
        self._changed = changed
        self._unlocked = unlocked
        self._record = record or unrecorded

    async def names(self) -> tuple[str, ...]:
        """All names, sorted, but for the workbench's own."""
        return tuple(name for name in await self._secrets.names() if name not in OWN)

    async def set(self, name: str, value: str) -> str:
        """Keep it and give the reference to write in the configuration; Denied where nothing can keep it safely."""
        _refuse_own(name)
        await self._record("secret.set", name, "")
        reference = await self._secrets.set(name, value)
        if self._changed is not None:
            await self._changed(name)
        return reference

    async def remove(self, name: str) -> None:
        """Forget it; NotFound if there is none."""
        _refuse_own(name)
        await self._record("secret.removed", name, "")
        await self._secrets.remove(name)
        if self._changed is not None:
            await self._changed(name)

    async def backend(self) -> str:
        """Where they are kept: `keyring`, `file`, `locked` (a file that wants its passphrase) or `none`."""
        found = await self._secrets.backend()
        return "locked" if found == "none" and await self._secrets.is_locked() else found

    async def unlock(self, passphrase: str) -> None:
        """Open the secrets file, or settle the passphrase of the one to come; Denied if it is wrong."""
        await self._secrets.unlock(passphrase)
        if self._unlocked is not None:
            await self._unlocked()


def _refuse_own(name: str) -> None:
    if name in OWN:
        raise InvalidInput(f"{name!r} is the workbench's own.", hint="Choose another name.")
