"""What the author of an extension imports to have a function run by itself: eight kinds of actor.

    from legion_core.engine.actors import every, poll, subscription

    @every(seconds=60)
    def tidy() -> None: ...

    @poll(seconds=30, to="chain:on-new-mail")
    def inbox() -> list[str]: ...

    @subscription("orders.#")
    def booked(topic: str, message: dict) -> None: ...

The engine starts them, restarts those that fail, and shows them in `legion extension info`. See `docs/actors.md`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from legion_core.engine.extension import ACTOR

Kind = Literal["subscription", "poll", "every", "once", "loop", "singleton", "nothing", "absorber_dispatch"]
Overlap = Literal["skip", "queue", "cancel"]
InputKind = Literal["any", "url", "file"]

KINDS: tuple[Kind, ...] = Kind.__args__
EVERY_MIN_S = 0.05
POLL_S = 9.0  # seed: the interval of a poll where none is given
ONCE_AFTER_S = 1.0  # seed: a once actor runs about a second after the start

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """When a function runs by itself.

    `every_s` is from one begin to the next, `after_s` from the start to the first. `overlap` says what happens to a
    moment that comes while the run before goes on. `timeout_s` None: as the function says. `is_single`: one process of
    all on the journal at a time. `keeps_record`: each run is a task in the journal; otherwise it only counts.
    """

    kind: Kind
    every_s: float = 0.0
    after_s: float = 0.0
    pause_s: float = 0.0
    timeout_s: float | None = None
    overlap: Overlap = "skip"
    is_single: bool = True
    keeps_record: bool = True
    retries: int = 0
    topic: str = ""
    to: str = ""
    pattern: str = ""
    takes: InputKind = "any"
    priority: int = 0

    def __post_init__(self) -> None:
        assert self.timeout_s is None or self.timeout_s > 0, "timeout_s is more than 0"
        timed = self.kind in ("every", "poll", "singleton")
        assert not timed or self.every_s >= EVERY_MIN_S, f"seconds is at least {EVERY_MIN_S}"
        assert self.after_s >= 0, "after_s is not negative"
        assert self.pause_s >= 0, "pause_s is not negative"
        assert 0 <= self.retries <= 100, "retries is 0 to 100"


def every(
    *,
    seconds: float,
    at_start: bool = False,
    after_s: float | None = None,
    overlap: Overlap = "skip",
    timeout_s: float | None = None,
    single: bool = True,
    record: bool = True,
) -> Callable[[F], F]:
    """Run at a fixed interval, the first time after one (`at_start`: at once; `after_s`: then)."""
    first_s = after_s if after_s is not None else 0.0 if at_start else seconds
    return _mark(
        Actor(
            kind="every", every_s=seconds, after_s=first_s, overlap=overlap, timeout_s=timeout_s,
            is_single=single, keeps_record=record,
        )
    )  # fmt: skip


def poll(
    *, seconds: float = POLL_S, to: str = "", timeout_s: float | None = None, single: bool = True
) -> Callable[[F], F]:
    """Look again and again, and act where what the function returns has changed since the look before.

    A change starts `to`, a task or `chain:NAME`, with `result`, `before` and `diff`; without `to` it is published under
    the function's own name. The look before is kept in the journal, so a change while nothing ran is seen too.
    """
    return _mark(
        Actor(kind="poll", every_s=seconds, to=to, timeout_s=timeout_s, is_single=single, keeps_record=False)
    )


def once(
    *, after_s: float = ONCE_AFTER_S, timeout_s: float | None = None, single: bool = True, record: bool = True
) -> Callable[[F], F]:
    """Run one time, `after_s` after the engine started."""
    return _mark(
        Actor(kind="once", after_s=after_s, timeout_s=timeout_s, is_single=single, keeps_record=record)
    )


def loop(
    *, pause_s: float = 0.0, timeout_s: float | None = None, single: bool = True, record: bool = False
) -> Callable[[F], F]:
    """Run again as soon as it ended; after a failure with growing pauses."""
    return _mark(
        Actor(kind="loop", pause_s=pause_s, timeout_s=timeout_s, is_single=single, keeps_record=record)
    )


def singleton(
    *,
    seconds: float,
    at_start: bool = True,
    overlap: Overlap = "skip",
    timeout_s: float | None = None,
    record: bool = True,
) -> Callable[[F], F]:
    """Run at a fixed interval in one process of all, which holds it until it ends; then another takes over."""
    return _mark(
        Actor(
            kind="singleton", every_s=seconds, after_s=0.0 if at_start else seconds, overlap=overlap,
            timeout_s=timeout_s, keeps_record=record,
        )
    )  # fmt: skip


def subscription(topic: str, *, retries: int = 2, timeout_s: float | None = None) -> Callable[[F], F]:
    """Run for each message published under a matching topic: a task of its own, shared out over all processes.

    In `topic`, `*` stands for one word between dots and `#` for any number. The function takes what it names of `topic`
    and `message`.
    """
    return _mark(
        Actor(kind="subscription", topic=topic, retries=retries, timeout_s=timeout_s, is_single=False)
    )


def nothing(call: F) -> F:
    """Belong to the extension and never run by itself."""
    return _mark(Actor(kind="nothing", is_single=False))(call)


def absorber_dispatch(
    pattern: str, *, takes: InputKind = "any", priority: int = 0, timeout_s: float | None = None
) -> Callable[[F], F]:
    """Take inputs that match: `absorb.input.dispatch` hands each to the matching absorber of the highest priority.

    `pattern` is matched against the whole address or path, with `*` and `?`. The function takes what it names of
    `input`, `metadata` and `ancestors`; a list under `absorb` in what it returns is absorbed in turn.
    """
    return _mark(
        Actor(
            kind="absorber_dispatch", pattern=pattern, takes=takes, priority=priority, timeout_s=timeout_s,
            is_single=False,
        )
    )  # fmt: skip


def _mark(actor: Actor) -> Callable[[F], F]:
    def mark(call: F) -> F:
        assert getattr(call, ACTOR, None) is None, f"{call.__name__} is an actor already"
        setattr(call, ACTOR, actor)
        return call

    return mark
