"""The words of the status strip: what runs, what answers, how fast, how full, what it cost. Changes only with facts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import QObject, QTimer, Signal

from app.bridge import Bridge
from app.viewmodels import wording
from app.viewmodels.badge import context_usage, prompt_tokens, speed_of
from app.viewmodels.live import Live
from legion_core.api.types import (
    AnswerEnded,
    AnswerStarted,
    AttemptEnded,
    ChatMessage,
    Event,
    Lane,
    ModelChanged,
    ProviderChanged,
    SettingChanged,
    Status,
    Usage,
)

if TYPE_CHECKING:
    from legion_core.api.facade import Legion

TRAFFIC_MS = 1000  # however many requests other programs send, so often is asked what they cost


class Server(Protocol):
    """What opens the node's address."""

    async def serve(self, port: int) -> str:
        """Open it at this port; the address."""
        ...


@dataclass(frozen=True, slots=True)
class StripWords:
    """What each button of the strip says; empty words are not shown. `engine_dot` is a colour token."""

    engine: str = "Engine starting"
    engine_dot: str = "warn.mark"
    engine_tip: str = ""
    model: str = ""
    model_tier: str = ""
    speed: str = ""
    context: str = ""
    spend: str = ""


class StatusViewModel(QObject):
    """Asks the engine for its status when something happened, never by the clock."""

    changed = Signal()

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.setObjectName("viewmodel.status")
        self._bridge = bridge
        self.words = StripWords()
        self.status: Status | None = None
        self._last: ChatMessage | None = None
        self._live: Live | None = None
        self._estimate: int = 0
        self._lanes: tuple[Lane, ...] = ()
        self._is_asking = False
        self.pause = QTimer(self)
        self.pause.setObjectName("status.pause")
        self.pause.setSingleShot(True)
        self.pause.setInterval(TRAFFIC_MS)
        self.pause.timeout.connect(self.refresh)
        bridge.connected.connect(self.refresh)
        bridge.connected.connect(self._ask_lanes)
        bridge.watch(
            self._on_facts, AnswerStarted, AnswerEnded, ModelChanged, ProviderChanged, SettingChanged
        )
        bridge.watch(self._on_traffic, AttemptEnded)

    def refresh(self) -> None:
        """Ask again; calls while one is under way are one call."""
        if not self._is_asking:
            self._is_asking = True
            self._bridge.launch(
                "status", lambda legion: legion.ops.status(), self._on_status, self._on_failure
            )

    def serve_at(self, port: int, server: Server, done: Callable[[str], None]) -> None:
        """Let other programs reach the workbench at this port from now on; `done` gets the address."""

        async def act(legion: "Legion") -> str:
            await legion.settings.set("server.port", port)
            return await server.serve(port)

        def finish(url: str) -> None:
            self.refresh()
            done(url)

        self._bridge.launch("serve", act, finish)

    def engine_failed(self, sentence: str) -> None:
        """There is no engine."""
        self.words = StripWords(engine="Engine stopped", engine_dot="err.mark", engine_tip=sentence)
        self.changed.emit()

    def show_answer(self, message: ChatMessage | None) -> None:
        """The chat that is open has this last answer: its size is what the context shows."""
        self._last = message
        self._say()

    def show_estimate(self, tokens: int) -> None:
        """About so much of the open chat goes with its next question; 0 where it is not known."""
        if tokens != self._estimate:
            self._estimate = tokens
            self._say()

    def show_live(self, live: Live) -> None:
        """An answer of the open chat grows: that is what runs now."""
        self._live = live
        self._say()

    def context_of(self, message: ChatMessage) -> int:
        """How many tokens the answering model holds; 0 where it is not known."""
        for lane in self._lanes:
            if lane.instance == message.instance and lane.offer.id == message.model:
                return lane.offer.context
        return 0

    def _ask_lanes(self) -> None:
        def done(lanes: tuple[Lane, ...]) -> None:
            self._lanes = lanes
            self._say()

        self._bridge.launch("lanes", lambda legion: legion.llm.lanes(), done, lambda _: None)

    def _on_facts(self, facts: Sequence[Event]) -> None:
        if any(isinstance(fact, AnswerEnded) for fact in facts):
            self._live = None
        if any(isinstance(fact, ModelChanged | ProviderChanged) for fact in facts):
            self._ask_lanes()
        self.refresh()

    def _on_traffic(self, _: Sequence[Event]) -> None:
        # Other programs' requests have no answer here to wait for, and their bill is written a moment behind them.
        if not self.pause.isActive():
            self.pause.start()

    def _on_status(self, status: Status) -> None:
        self._is_asking = False
        self.status = status
        self._say()

    def _on_failure(self, _: str) -> None:
        self._is_asking = False

    def _say(self) -> None:
        status, last = self.status, self._last
        if status is None:
            return
        live = self._live
        # What stands beside it, speed and context, is of the open chat: so is the model.
        shown = live or (last if last is not None and last.tier else None)
        self.words = StripWords(
            engine="Engine running" if not status.problem else "Engine running, no address",
            engine_dot="ok.mark" if not status.problem else "warn.mark",
            engine_tip=status.problem or f"{status.url}, up {wording.duration(status.uptime_s)}",
            model=shown.model if shown else status.model,
            model_tier=shown.tier if shown else status.tier if status.model else "",
            speed=self._speed(status),
            context="" if live and last is None else self._context(last),
            spend=wording.spent_today(status.spent_today_usd, status.spent_unknown),
        )
        self.changed.emit()

    def _speed(self, status: Status) -> str:
        if self._live is not None:
            speed = self._live.tokens_per_s
            return "answering" if speed is None else wording.rate(speed)
        speed = (speed_of(self._last) if self._last else None) or status.tokens_per_s
        return wording.rate(speed) if speed else "idle"

    def _context(self, last: ChatMessage | None) -> str:
        usage = context_usage(last) if last is not None else Usage()
        used = prompt_tokens(usage) + usage.output_tokens
        if last is not None and used:
            about = "about " if usage.is_estimated else ""
            return _context_words(f"{about}{wording.short_count(used)}", self.context_of(last))
        if last is not None and not self._estimate:
            return ""  # it was never sent, and nobody has counted it yet
        said = f"about {wording.short_count(self._estimate)}" if last is not None else "0"
        model = self.status.model if self.status is not None else ""
        whole = next((lane.offer.context for lane in self._lanes if model and lane.offer.id == model), 0)
        return _context_words(said, whole) if whole or last is not None else ""


def _context_words(used: str, whole: int) -> str:
    return f"Context {used} of {wording.short_count(whole)}" if whole else f"Context {used}"
