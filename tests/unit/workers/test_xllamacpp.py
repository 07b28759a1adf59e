"""What the default engine must not do: leave a door open."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from legion_core.kernel.supervise import Supervisor
from legion_core.testing.engines import bench
from tests.support import aio


@pytest.mark.model
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_engine_listens_on_no_port_and_its_socket_cannot_be_found(tmp_path: Path) -> None:
    found = bench("xllamacpp", tmp_path)
    if isinstance(found, str):
        pytest.skip(found)

    async def check() -> None:
        supervisor = Supervisor()
        worker = found.worker(supervisor)
        await worker.start()
        pid = worker.health.pid
        assert pid is not None
        held = await asyncio.to_thread(_sockets, pid)
        for table in ("tcp", "tcp6", "udp", "udp6"):
            rows = Path(f"/proc/{pid}/net/{table}").read_text(encoding="ascii").splitlines()[1:]
            assert not [row for row in rows if row.split()[9] in held], f"a socket in {table}"
        rows = Path(f"/proc/{pid}/net/unix").read_text(encoding="utf-8").splitlines()[1:]
        paths = [row.split()[7] for row in rows if row.split()[6] in held and len(row.split()) > 7]
        assert paths, "the engine has its listener"
        assert not any(Path(path).exists() for path in paths)
        await worker.stop()
        await supervisor.stop()

    aio.run(check())


def _sockets(pid: int) -> set[str]:
    inodes: set[str] = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        target = os.readlink(entry)
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    return inodes
