"""What the author of an extension imports: `function`, which says how a task's function may be treated, and `Context`.

    from legion_core.engine.extension import Context, function

    @function(effect="pure", timeout_s=30)
    def greet(context: Context, name: str = "world") -> dict[str, str]:
        \"\"\"A greeting.\"\"\"
        context.log(f"greeting {name}")
        return {"greeting": f"Hello, {name}."}

A plain function in a runner's module needs neither: it is run at least once, and a second run after a crash is
flagged in `Context.is_redelivered`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

from legion_core.engine.types import EffectClass, Retry
from legion_core.storage.sqlite import Connection

Level = Literal["debug", "info", "warning", "error"]
Risk = Literal["", "read", "write", "danger"]
Work = Callable[[Connection], None]

TIMEOUT_S = 300.0
NO_RETRY = Retry()
TRAITS = "__legion__"
ACTOR = "__legion_actor__"  # where `engine.actors` leaves what it was told of a function

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """How a function may be treated.

    `effect` says what a second run does. `plain`: nothing is promised. `pure`: it changes nothing outside.
    `transactional`: it writes by `Context.defer` alone, committed together with its completion. `idempotent_key`: it
    sends `Context.key`, by which the receiver knows a repetition. `fenced_file`: it writes files by
    `Context.write_file` alone. `at_most_once`: it is never run again by itself; after a crash the task becomes
    `unknown` and a person decides.

    `retry` is for failures (a task may bring its own). `cpu` runs a blocking function in a process of its own,
    which can be killed at its time-out; a thread cannot.

    `risk` is what it may do when a model or another program calls it: `read` changes nothing, `danger` asks the user
    each time. Empty: `read` for what is `pure`, else `write`.
    """

    effect: EffectClass = "plain"
    timeout_s: float = TIMEOUT_S
    retry: Retry = NO_RETRY
    cpu: bool = False
    risk: Risk = ""

    def __post_init__(self) -> None:
        assert self.timeout_s > 0
        assert self.effect != "at_most_once" or self.retry.max == 0, "at_most_once is never tried again"


def function(
    *,
    effect: EffectClass = "plain",
    timeout_s: float = TIMEOUT_S,
    retries: int = 0,
    retry_delay_s: float = 1.0,
    retry_delay_max_s: float = 30.0,
    cpu: bool = False,
    risk: Risk = "",
) -> Callable[[F], F]:
    """Mark a function of a runner. See `Traits`; a retry waits `retry_delay_s`, then twice as long each time."""
    traits = Traits(
        effect=effect,
        timeout_s=timeout_s,
        retry=Retry(max=retries, delay_s=retry_delay_s, delay_max_s=retry_delay_max_s),
        cpu=cpu,
        risk=risk,
    )

    def mark(call: F) -> F:
        setattr(call, TRAITS, traits)
        return call

    return mark


class Context(Protocol):
    """What a running function may know of its task. A function asks for it by a parameter of this type."""

    @property
    def task_id(self) -> str:
        """The task's id; the same for every attempt."""
        ...

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        ...

    @property
    def is_redelivered(self) -> bool:
        """Whether an earlier attempt may have got anywhere before its process died."""
        ...

    @property
    def is_cancelled(self) -> bool:
        """Whether the task should end: a function in a thread looks at this now and then."""
        ...

    def key(self, number: int = 0) -> str:
        """The idempotency key of this task's effect `number`, the same on every attempt. See `Traits.effect`."""
        ...

    def log(self, text: str, level: Level = "info") -> None:
        """A line in the task's own log, at most 4,000 characters, at most 1,000 lines a task."""
        ...

    def defer(self, work: Work) -> None:
        """Run `work` in the transaction that completes the task: both happen, or neither."""
        ...

    def write_file(self, path: str, content: bytes, number: int = 0) -> bool:
        """Replace a file, once for all attempts of this task; False if an earlier attempt already had. Blocks."""
        ...
