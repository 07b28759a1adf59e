"""The process that `engine.cpu` keeps: `python -m legion_core.engine.cpu_child` serves calls until its input ends."""

import importlib
import os
import sys
import traceback
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from legion_core.engine.cpu import Order, Said
from legion_core.engine.extension import Level, Work
from legion_core.engine.importing import Print, fingerprint, import_folder
from legion_core.engine.signature import Signature, read_signature
from legion_core.kernel.errors import Unsupported


class ChildContext:
    """The Context of a function in another process: no journal within reach."""

    def __init__(self, order: Order, stdout: int) -> None:
        self.task_id = order.task_id
        self.attempt = order.attempt
        self.is_redelivered = order.is_redelivered
        self.is_cancelled = False  # a call that should end is killed
        self._stdout = stdout

    def key(self, number: int = 0) -> str:
        """See `Context`."""
        return f"{self.task_id}-{number}"

    def log(self, text: str, level: Level = "info") -> None:
        """See `Context`."""
        write(self._stdout, Said(text=text, level=level))

    def defer(self, work: Work) -> None:
        """See `Context`; not here."""
        raise Unsupported("A function with cpu=True cannot write to the journal.", hint="Leave cpu out.")

    def write_file(self, path: str, content: bytes, number: int = 0) -> bool:
        """See `Context`; not here."""
        raise Unsupported("A function with cpu=True cannot write fenced files.", hint="Leave cpu out.")


class Calls:
    """Imports what it is asked for, once for as long as it does not change, and calls it."""

    def __init__(self, stdout: int) -> None:
        self._stdout = stdout
        self._prints: dict[str, Print] = {}

    def serve(self, line: bytes) -> Said:
        """The outcome of one order."""
        try:
            order = msgspec.json.decode(line, type=Order)
            call, signature = self._find(order)
            keywords = signature.read(bytes(order.args))
            if signature.context:
                keywords[signature.context] = ChildContext(order, self._stdout)
            result = msgspec.json.encode(call(**keywords), order=None)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            words = "".join(traceback.format_exception_only(error)).strip()
            return Said(is_last=True, error=words)
        return Said(is_last=True, result=msgspec.Raw(result))

    def _find(self, order: Order) -> tuple[Any, Signature]:
        if order.folder:
            folder = Path(order.folder)
            now = fingerprint(folder)
            if self._prints.get(order.folder) != now:
                import_folder(order.extension, folder)
                self._prints[order.folder] = now
            module = sys.modules[order.module]
        else:
            module = importlib.import_module(order.module)
        call = getattr(module, order.function)
        return call, read_signature(call)


def write(stdout: int, said: Said) -> None:
    """One line to the parent."""
    view = memoryview(msgspec.json.encode(said) + b"\n")
    while view:
        view = view[os.write(stdout, view) :]


def main() -> int:
    """Serve until standard input ends; what the functions print goes nowhere."""
    stdin: BinaryIO = os.fdopen(os.dup(0), "rb")
    stdout = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    calls = Calls(stdout)
    for line in stdin:
        write(stdout, calls.serve(line))
    return 0


if __name__ == "__main__":
    sys.exit(main())
