"""Runs inside a D-Bus session of its own with a real Secret Service: keeps, finds, locks and forgets a secret."""

import asyncio
import json
import sys
from pathlib import Path

from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import Denied, NotFound
from legion_core.kernel.ids import system_rng
from legion_core.storage.keyring_store import Keyring
from legion_core.storage.secrets import Secrets


def lock_all() -> None:
    import secretstorage

    bus = secretstorage.dbus_init()
    for collection in secretstorage.get_all_collections(bus):
        collection.lock()
    bus.close()


async def main(directory: Path) -> None:
    def fresh() -> Secrets:
        return Secrets(directory, {}, clock=SystemClock(), rng=system_rng(), keyring=Keyring(call_s=5.0))

    report: dict[str, object] = {"backend": await fresh().backend()}
    report["reference"] = await fresh().set("box", "наука-🔑-value")
    report["value"] = await fresh().get("keyring://box")
    await fresh().set("other", "second")
    report["names"] = await fresh().names()
    await fresh().remove("other")
    try:
        await fresh().get("keyring://other")
    except NotFound:
        report["removed"] = True
    report["files"] = sorted(file.name for file in directory.iterdir())
    lock_all()
    try:
        await fresh().get("keyring://box")
    except Denied as error:
        report["locked"] = error.message
    print(json.dumps(report))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
