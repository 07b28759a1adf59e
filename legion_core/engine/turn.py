"""Pure: what a turn of the loop wants written, gathered until it is one step, and what a refused one leads to.

end, line, tell, look … ─▶ Turn ─take─▶ Step ─▶ written
                            ▲             └───▶ refused
                            └──put_back──────────┘
"""

import msgspec

from legion_core.engine.machine import Failed, after
from legion_core.engine.orders import Line
from legion_core.engine.steps import Ending, Step
from legion_core.engine.types import Reason
from legion_core.kernel.errors import LegionError
from legion_core.kernel.ids import Rng


class Turn:
    """What is wanted since the last step was taken."""

    def __init__(self) -> None:
        self._step = Step()

    @property
    def is_joining(self) -> bool:
        """Whether the process is not yet known in the journal, so that it can hold nothing there."""
        return self._step.join is not None

    def end(self, ending: Ending) -> None:
        """A task ended here, or waits again."""
        self._step.endings.append(ending)

    def line(self, line: Line) -> None:
        """A task wrote this into its log."""
        self._step.lines.append(line)

    def tell(self, kind: str, body: bytes) -> None:
        """The other processes are to hear of an event."""
        self._step.told.append((kind, body))

    def join(self, pid: int, started: str) -> None:
        """Become known to the other processes."""
        self._step.join = (pid, started)

    def look(self) -> None:
        """Read everything others may have left."""
        self._step.is_look = True

    def due(self) -> None:
        """Something's time has come."""
        self._step.is_due = True

    def take(self) -> tuple[Step, list[Ending]]:
        """What is to be written now: one step, and the endings that are transactions of their own."""
        step, self._step = self._step, Step()
        apart = [each for each in step.endings if each.is_apart]
        if apart:
            step.endings = [each for each in step.endings if not each.is_apart]
        return step, apart

    def put_back(self, step: Step) -> None:
        """Nothing of it was kept: it comes with the next one, before what was wanted since."""
        fresh = self._step
        fresh.endings = [*step.endings, *fresh.endings]
        fresh.lines = [*step.lines, *fresh.lines]
        fresh.told = [*step.told, *fresh.told]
        fresh.join = step.join or fresh.join
        fresh.is_due = step.is_due or fresh.is_due
        fresh.is_look = step.is_look or fresh.is_look


def is_of_disk(error: BaseException) -> bool:
    """Whether the journal could not be written, so that the same is right once it can be."""
    return isinstance(error, LegionError) and error.public_code.startswith(("storage", "disk", "read_only"))


def failed_by(ending: Ending, error: BaseException, now_ms: int, rng: Rng) -> Ending:
    """What a task comes to whose deferred work or run cannot be written: it failed, and says so."""
    what = f"{type(error).__name__}: {error}"
    reason = Reason(code="task.raised", sentence=what, facts={"what": what})
    state = after(ending.lease.state(), Failed(reason, what, may_retry=False), now_ms=now_ms, rng=rng)
    # Were it that run itself that cannot be ended, the task is: it must not be tried for ever.
    is_twice = ending.state.status == "failed" and not ending.deferred
    lease = msgspec.structs.replace(ending.lease, run="") if is_twice else ending.lease
    return Ending(lease, state)
