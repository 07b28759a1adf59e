"""Between the window and the engine: intents go in under supervision, facts come out once a frame.

A slot never awaits. It calls `bridge.launch(name, intent, done)`, which waits until the engine is there, runs the
intent and hands its result to `done`. A refusal becomes one sentence: for `failed` where the caller gave one, else
for everybody who shows notices (`refused`). Facts are gathered for a frame and handed to each watcher as one batch.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from PySide6.QtCore import QObject, Signal

from legion_core.api.types import Event

if TYPE_CHECKING:
    from legion_core.api.facade import Legion

log = logging.getLogger("legion.app")

T = TypeVar("T")
FRAME_S = 0.016
EVENTS_MAX = 8192
GENERIC = "Something went wrong in the workbench, and the log has the details. Nothing you wrote is lost."


class Spawner(Protocol):
    """Starts background work by name; the node's supervisor is one."""

    def spawn(self, name: str, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Run `work` until it ends or the window closes."""
        ...


@runtime_checkable
class Spoken(Protocol):
    """An error that can say what, why and what to do in a sentence."""

    def sentence(self) -> str:
        """The sentence."""
        ...


Handler = Callable[[Sequence[Event]], None]


class Bridge(QObject):
    """One per window. `legion` is None until the engine is up."""

    connected = Signal()
    """The engine is up; `legion` is there."""
    refused = Signal(str)
    """Something could not be done: the sentence to show."""
    lost = Signal()
    """Facts were dropped because too many came at once: load again what is shown."""

    def __init__(self, spawner: Spawner) -> None:
        super().__init__()
        self.setObjectName("bridge")
        self.legion: Legion | None = None
        self._spawner = spawner
        self._handlers: list[tuple[tuple[type[Event], ...], Handler]] = []
        self._heard: set[type[Event]] = set()
        self._arrival: asyncio.Event = asyncio.Event()
        self._problem = ""
        self._is_closed = False

    @property
    def problem(self) -> str:
        """Why there is no engine, as a sentence; empty while it starts or runs."""
        return self._problem

    def connect_engine(self, legion: "Legion") -> None:
        """The engine is up: waiting intents run, and facts begin to arrive."""
        self.legion = legion
        self._problem = ""
        self._arrival.set()
        self._listen(legion)
        self.connected.emit()

    def give_up(self, sentence: str) -> None:
        """There will be no engine: every waiting and coming intent is refused with `sentence`."""
        self._problem = sentence
        self._arrival.set()

    def launch(
        self,
        name: str,
        intent: "Callable[[Legion], Awaitable[T]]",
        done: Callable[[T], None] | None = None,
        failed: Callable[[str], None] | None = None,
    ) -> None:
        """Run `intent(legion)` in the background; exactly one of `done` and `failed` is called unless the window closes."""
        if self._is_closed:
            return
        self._spawner.spawn(f"app.{name}", self._carry(name, intent, done, failed))

    def watch(self, handler: Handler, *kinds: type[Event]) -> None:
        """Call `handler` once a frame with the facts of these kinds that arrived in it, oldest first.

        A page that is made later may watch further kinds; it hears what happens from then on.
        """
        self._handlers.append((kinds, handler))
        if self.legion is not None:
            self._listen(self.legion)

    def report(self, error: BaseException) -> str:
        """Log an error that nobody expected and show it; returns the sentence."""
        log.error("unexpected error in the window", exc_info=error)
        sentence = sentence_of(error)
        if not self._is_closed:
            self.refused.emit(sentence)
        return sentence

    def close(self) -> None:
        """Take no more intents and hand out no more facts."""
        self._is_closed = True
        self._handlers.clear()
        self.legion = None

    async def _carry(
        self,
        name: str,
        intent: "Callable[[Legion], Awaitable[T]]",
        done: Callable[[T], None] | None,
        failed: Callable[[str], None] | None,
    ) -> None:
        try:
            await self._arrival.wait()
            legion = self.legion
            if legion is None:
                self._refuse(self._problem, failed)
                return
            result = await intent(legion)
            if done is not None and not self._is_closed:
                done(result)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # the wall between the engine and the window
            if not isinstance(error, Spoken):
                log.exception("the intent %s failed", name)
            self._refuse(sentence_of(error), failed)

    def _refuse(self, sentence: str, failed: Callable[[str], None] | None) -> None:
        if self._is_closed:
            return
        if failed is not None:
            failed(sentence)
        else:
            self.refused.emit(sentence)

    def _listen(self, legion: "Legion") -> None:
        late = {kind for named, _ in self._handlers for kind in named} - self._heard
        if late:
            self._heard |= late
            self._spawner.spawn("app.facts", self._pump(legion, tuple(late)))

    async def _pump(self, legion: "Legion", kinds: tuple[type[Event], ...]) -> None:
        lost = 0
        with legion.events.subscribe(*kinds, size_max=EVENTS_MAX) as facts:
            while batch := await facts.take():
                if facts.lost > lost:
                    lost = facts.lost
                    self.lost.emit()
                self.deliver(batch)
                # The next batch gathers for a frame; with nothing to deliver no timer runs.
                await asyncio.sleep(FRAME_S)

    def deliver(self, batch: Sequence[Event]) -> None:
        """Hand a batch to its watchers; one that fails is logged and shown, the others still get theirs."""
        for kinds, handler in tuple(self._handlers):
            mine = [event for event in batch if isinstance(event, kinds)]
            if not mine:
                continue
            try:
                handler(mine)
            except Exception as error:  # noqa: BLE001  # one broken panel must not silence the others
                self.report(error)


def sentence_of(error: BaseException) -> str:
    """What to tell a person about `error`: its own words where it was raised on purpose."""
    return error.sentence() if isinstance(error, Spoken) else GENERIC
