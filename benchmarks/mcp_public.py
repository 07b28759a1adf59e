"""The official MCP inspector against our server, and two public servers with our client, all of them as they are published.

    python -m benchmarks.mcp_public [--json]

The inspector lists, calls and reads over HTTP and by `legion mcp`, in both revisions of the protocol. The file server
and the "everything" server are registered, looked at, approved and called by the command line, the latter also over
HTTP, and a model in a chat asks for a file. Their pinned versions are brought into a cache by npm at the first run;
nothing else leaves this machine. Each check that fails is a line on standard error.
"""

import argparse
import asyncio
import json
import logging
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from legion_core.testing import npm
from legion_core.testing.mcp_inspector import inspected
from legion_core.testing.mcp_public import PINNED, Sheet, laid_out
from legion_core.testing.mcp_servers import chatted, served


async def play(sheet: Sheet) -> None:
    """Every check, on a node in a home of its own."""
    with tempfile.TemporaryDirectory(prefix="legion-public-", ignore_cleanup_errors=True) as above:
        place = laid_out(Path(above), sheet)
        async with place.serving():
            await inspected(place)
            await served(place)
        await chatted(place)


def figures(sheet: Sheet, wall_s: float) -> dict[str, Any]:
    """What is promised, and what of it held."""
    return {
        "checks": sheet.asked,
        "failed": len(sheet.faults),
        "wall_s": round(wall_s, 1),
        "versions": npm.versions(PINNED),
        "load": round(os.getloadavg()[0], 2),
    }


def main() -> int:
    """See the module; who reads no JSON learns of a failed check by the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)  # the checks provoke errors by the dozen
    sheet, begun_s = Sheet(), time.monotonic()
    try:
        npm.install(PINNED)
        asyncio.run(play(sheet))
    except npm.NotToBeHad as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for fault in sheet.faults:
        sys.stderr.write(f"{fault}\n")
    print(json.dumps(figures(sheet, time.monotonic() - begun_s)))
    return 1 if sheet.faults and not args.json else 0


if __name__ == "__main__":
    sys.exit(main())
