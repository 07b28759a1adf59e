"""Pure: how actors stand, as the surfaces show them. Cheap to import."""

from datetime import datetime
from typing import Literal

import msgspec

ActorState = Literal["waiting", "running", "held", "ended", "failing", "idle", "stopped"]


class ActorRow(msgspec.Struct, frozen=True, kw_only=True):
    """A function that runs by itself. `function` is its dotted name, `kind` one of the eight.

    `state`: it waits for its moment or input (`waiting`), runs now, is held by the process `holder` (`held`), has done
    what it was for (`ended`), failed last time and tries again (`failing`), never runs by itself (`idle`), or belongs to
    an engine that does not run (`stopped`). The counts are of this process since it started; `skipped` are moments left
    out because the run before went on.
    """

    function: str
    kind: str
    state: ActorState
    words: str
    runs: int = 0
    failures: int = 0
    skipped: int = 0
    last_at: datetime | None = None
    next_at: datetime | None = None
    problem: str = ""
    holder: str = ""
    fencing: int = 0
