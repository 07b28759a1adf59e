"""The command's entry: hands the composition root to the command line, which must not know it."""

import sys
from collections.abc import Callable
from typing import Any


def main(argv: list[str] | None = None, *, desktop: Callable[[list[str]], int] | None = None) -> int:
    """Run one command and give its exit status. `desktop` opens the window, where there is one."""
    from legion_core.surfaces.cli.main import run

    return run(sys.argv[1:] if argv is None else argv, open_node=_open_node, desktop=desktop)


def _open_node(*args: Any, **keywords: Any) -> Any:
    # Imported by the first command that opens a node; most talk to one that runs.
    from legion_core.node import open_node

    return open_node(*args, **keywords)


if __name__ == "__main__":
    sys.exit(main())
