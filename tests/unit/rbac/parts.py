"""Rbac and its audit log on a real journal, without a node around them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from legion_core.kernel.clock import SystemClock
from legion_core.kernel.events import EventBus
from legion_core.kernel.ids import Ids, system_rng
from legion_core.kernel.supervise import Supervisor
from legion_core.rbac.audit import AuditLog
from legion_core.rbac.audit_key import open_key
from legion_core.rbac.audit_store import MIGRATIONS as AUDIT
from legion_core.rbac.service import Rbac
from legion_core.rbac.tokens import MIGRATIONS as TOKENS
from legion_core.rbac.tokens import read_now
from legion_core.storage.secrets import Secrets
from legion_core.storage.sqlite import Database


@dataclass
class Parts:
    database: Database
    audit: AuditLog
    rbac: Rbac

    def look_again(self) -> None:
        """As if a quarter of a second had gone by."""
        self.rbac._looked_s = -1.0


@asynccontextmanager
async def parts(home: Path, env: dict[str, str] | None = None, **bounds: Any) -> AsyncIterator[Parts]:
    home.mkdir(mode=0o700, exist_ok=True)
    clock, rng, supervisor = SystemClock(), system_rng(), Supervisor()
    bus = EventBus(clock)
    path = home / "journal.db"
    database = await Database.open(path, migrations=(*AUDIT, *TOKENS), clock=clock)
    secrets = Secrets(home, env or {}, clock=clock, rng=rng)
    audit = AuditLog(
        clock, supervisor, database, home, lambda: open_key(home, secrets, database, rng), **bounds
    )
    rbac = Rbac(clock, Ids(clock, rng), rng, bus, database, home, audit, lambda: read_now(path, clock, rng))
    try:
        await rbac.start()
        yield Parts(database, audit, rbac)
    finally:
        await supervisor.stop()
        await rbac.aclose()
        await audit.aclose()
        await database.close()
