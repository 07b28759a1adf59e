"""Where each kept key may be sent: to the host it was given for, and nowhere else.

A line in a configuration file is enough to point a provider at another host; its key must not follow by itself. A key is
bound to its host when it is given, else at its first use. To give the key anew frees it.
"""

from typing import Final, Protocol
from urllib.parse import urlsplit

from legion_core.kernel.errors import Denied
from legion_core.storage.sqlite import Connection, Database, Migration, execute, row

MIGRATIONS: Final = (
    Migration(
        "rbac-0002",
        "CREATE TABLE key_hosts (reference TEXT PRIMARY KEY, place TEXT NOT NULL) STRICT, WITHOUT ROWID",
    ),
)
BOUND: Final = "keyring://"  # what comes from the environment is in the hands of whoever starts the program


class Instance(Protocol):
    """What is asked of a provider's description."""

    @property
    def kind(self) -> str:
        """Such as `openai`."""
        ...

    @property
    def base_url(self) -> str:
        """Where it is; empty for the provider's own address."""
        ...

    @property
    def api_key(self) -> str:
        """A reference."""
        ...


class KeyHosts:
    """See the module."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check(self, spec: Instance, key: str | None = None) -> None:
        """Denied where the key behind the reference was given for another host; bound to this one where it was for none yet.

        A `key` that is given with it is meant for it.
        """
        reference = spec.api_key
        if key is not None or not reference.startswith(BOUND):
            return
        place = place_of(spec.kind, spec.base_url)
        known = await self._database.write(lambda connection: _bound(connection, reference, place))
        if known != place:
            raise Denied(
                f"The key {reference} was given for {known}; it is not sent to {place}.",
                hint=f"If you changed the address yourself, enter the key again: `legion secret set {reference.removeprefix(BOUND)}`.",
            )

    async def bind(self, spec: Instance, key: str | None, reference: str) -> None:
        """Where a `key` was just given with it and kept as `reference`, it goes to this host."""
        if not key:
            return
        place = place_of(spec.kind, spec.base_url)

        def work(connection: Connection) -> None:
            execute(connection, "DELETE FROM key_hosts WHERE reference = ?", [reference])
            _bound(connection, reference, place)

        await self._database.write(work)

    async def forget(self, name: str) -> None:
        """It is given anew, or gone: the next use binds it."""
        reference = f"{BOUND}{name}"
        await self._database.write(
            lambda connection: execute(connection, "DELETE FROM key_hosts WHERE reference = ?", [reference])
        )


def place_of(kind: str, base_url: str) -> str:
    """Scheme, host and port, or the provider's own address where none is given."""
    if not base_url:
        return f"the address of {kind} itself"
    parts = urlsplit(base_url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        port = 0
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}"


def _bound(connection: Connection, reference: str, place: str) -> str:
    execute(connection, "INSERT OR IGNORE INTO key_hosts VALUES (?, ?)", [reference, place])
    found = row(connection, "SELECT place FROM key_hosts WHERE reference = ?", [reference])
    assert found is not None
    return str(found[0])
