"""Official libraries that are installed only where their provider is used."""

from importlib import import_module
from typing import Any

from legion_core.kernel.errors import Refused


def official(module: str, extra: str, what: str) -> Any:
    """The module, imported now; `Refused` with the line to run where it is not installed. Blocks: not on the loop."""
    try:
        return import_module(module)
    except ImportError as error:
        raise Refused(
            f"{what} needs a library that is not installed ({module.partition('.')[0]}).",
            hint=f"Install it, in the workbench's own folder, with `.venv/bin/python -m pip install '.[{extra}]'`.",
        ) from error
