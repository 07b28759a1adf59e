"""Calls a function in place for an actor that keeps no record: under its deadline, without a task in the journal."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from legion_core.engine.cpu import CpuPool
from legion_core.engine.extension import Level, Work
from legion_core.engine.registry import Function
from legion_core.engine.runner import Returned, Runner
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import Conflict
from legion_core.kernel.files import write_atomically
from legion_core.kernel.redact import redact
from legion_core.storage.sqlite import Database

log = logging.getLogger("legion.actors")

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_LINE_CHARS_MAX = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run went; `result` is JSON where the function was called in place."""

    is_success: bool
    problem: str = ""
    result: bytes = b"null"


class Calls:
    """See the module."""

    def __init__(self, clock: Clock, database: Database) -> None:
        self._clock = clock
        self._database = database
        self._cpu = CpuPool(0)
        self._runner = Runner(self._cpu, lambda: None)

    async def call(
        self, function: Function, args: Mapping[str, Any], number: int, timeout_s: float | None
    ) -> Outcome:
        """What became of one call; raises InvalidInput where the arguments do not fit."""
        context = _PlaceContext(function.name, number)
        try:
            outcome = await self._runner.run(
                function, function.signature.check(args), context, timeout_s or function.traits.timeout_s
            )
        finally:
            context.is_cancelled = True
        if isinstance(outcome, Returned):
            return Outcome(is_success=True, result=outcome.result)
        return Outcome(is_success=False, problem=outcome.reason.sentence)

    async def close(self) -> None:
        """End the processes that were started for calls."""
        await self._cpu.close()


class _PlaceContext:
    """See `extension.Context`; there is no task, so what needs one is refused."""

    def __init__(self, name: str, number: int) -> None:
        self._name = name
        self._number = number
        self.is_cancelled = False

    @property
    def task_id(self) -> str:
        """See `Context`: the actor and the number of its run."""
        return f"{self._name}#{self._number}"

    @property
    def attempt(self) -> int:
        """See `Context`."""
        return 1

    @property
    def is_redelivered(self) -> bool:
        """See `Context`."""
        return False

    def key(self, number: int = 0) -> str:
        """See `Context`."""
        return f"{self._name}-{self._number}-{number}"

    def log(self, text: str, level: Level = "info") -> None:
        """See `Context`: to the log of the workbench."""
        log.log(_LEVELS[level], "%s: %s", self._name, redact(text[:_LINE_CHARS_MAX]))

    def defer(self, work: Work) -> None:
        """See `Context`."""
        raise Conflict(
            "A run without a record has no end to write with.", hint="Declare it with record=True."
        )

    def write_file(self, path: str, content: bytes, number: int = 0) -> bool:
        """See `Context`: whole or not at all."""
        write_atomically(Path(path), content)
        return True
