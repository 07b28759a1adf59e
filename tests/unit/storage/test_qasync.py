"""The journal under the loop the window runs on."""

import asyncio
import gc
from pathlib import Path

import qasync
from PySide6.QtCore import QCoreApplication

from legion_core.kernel.clock import SystemClock
from legion_core.storage.sqlite import Connection, Database, Migration, execute, rows

SCHEMA = (Migration("t-0001", "CREATE TABLE t (number INTEGER)"),)


def test_the_journal_works_on_qts_loop(qapp: QCoreApplication, tmp_path: Path) -> None:
    async def story() -> int:
        database = await Database.open(tmp_path / "j.db", migrations=SCHEMA, clock=SystemClock())

        async def one(number: int) -> None:
            await database.write(
                lambda connection: execute(connection, "INSERT INTO t VALUES (?)", (number,))
            )

        def count(connection: Connection) -> int:
            return len(rows(connection, "SELECT * FROM t"))

        await asyncio.gather(*(one(number) for number in range(200)))
        counted = await database.read(count)
        await database.close()
        return counted

    loop = qasync.QEventLoop(qapp, already_running=False)
    with loop:
        assert loop.run_until_complete(asyncio.wait_for(story(), 100)) == 200
    # The loop's Qt objects sit in reference cycles, and whichever thread collects them destroys them: let it be this.
    del loop
    gc.collect()
