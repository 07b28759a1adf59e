"""Liveness, readiness and metrics."""

import sys
from pathlib import Path

from legion_core.surfaces.rest.calls import Call, Desk, Operation, Raw


async def healthz(desk: Desk, call: Call) -> Raw:
    """Bare: whoever can open the port may know that something answers, and nothing else."""
    return Raw(b"ok\n", media_type="text/plain; charset=utf-8")


async def readyz(desk: Desk, call: Call) -> Raw:
    """503 from the moment the server is told to stop."""
    if desk.feed.is_open:
        return Raw(b"ready\n", media_type="text/plain; charset=utf-8")
    return Raw(b"stopping\n", media_type="text/plain; charset=utf-8", status=503)


def resident_bytes() -> int:
    """Resident memory of this process now; its peak where the system tells no more; 0 if unknown."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        import resource

        return int(statm.read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


OPERATIONS = (
    Operation(
        method="GET",
        path="/healthz",
        name="healthz",
        summary="Is something there?",
        handler=healthz,
        right=None,
        example="ok\n",
        media_type="text/plain",
        is_enveloped=False,
    ),
    Operation(
        method="GET",
        path="/readyz",
        name="readyz",
        summary="Does it take requests?",
        handler=readyz,
        right=None,
        example="ready\n",
        media_type="text/plain",
        is_enveloped=False,
    ),
)
