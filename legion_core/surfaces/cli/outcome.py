"""What a command gives back, and what it works with."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    import argparse

    from legion_core.storage.home import Home
    from legion_core.surfaces.cli.backend import Backend
    from legion_core.surfaces.cli.local import OpenNode


@dataclass(frozen=True, slots=True)
class Outcome:
    """`data` for `--json`, `text` for a person (empty: nothing more to say), and the exit status."""

    data: object
    text: str = ""
    status: int = 0


@dataclass(slots=True)
class Setting:
    """The surroundings of one command."""

    env: Mapping[str, str]
    is_json: bool
    open_node: "OpenNode"
    desktop: Callable[[list[str]], int] | None = None
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)
    _backend: "Backend | None" = None
    _ends: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])

    @property
    def home(self) -> "Home":
        """The data directory in use."""
        from legion_core.storage.home import Home

        return Home.find(self.env)

    @property
    def backend(self) -> "Backend":
        """The node, connected to on first use."""
        if self._backend is None:
            from legion_core.surfaces.cli.connect import connect

            self._backend = connect(self.home, self.env, self.open_node)
        return self._backend

    @property
    def is_terminal(self) -> bool:
        """Whether a person sits at both ends."""
        return self.out.isatty() and sys.stdin.isatty()

    def say(self, text: str, end: str = "\n") -> None:
        """To a person, at once; silent under `--json`."""
        if not self.is_json:
            self.out.write(text + end)
            self.out.flush()

    def aside(self, text: str, end: str = "\n") -> None:
        """Beside the answer, on standard error; silent under `--json`."""
        if not self.is_json:
            self.err.write(text + end)
            self.err.flush()

    def at_end(self, work: Callable[[], None]) -> None:
        """Do this when the command is over."""
        self._ends.append(work)

    def end(self) -> None:
        """The command is over; idempotent."""
        self.close()
        while self._ends:
            self._ends.pop()()

    def close(self) -> None:
        """Let go of the node; idempotent."""
        if self._backend is not None:
            self._backend.close()
            self._backend = None


Command = Callable[[Setting, "argparse.Namespace"], Outcome]
Actions = Mapping[str | None, Command]
"""The functions behind one command, by the name of the action; None is the command alone."""
