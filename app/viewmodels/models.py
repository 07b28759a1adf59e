"""Models on this computer: what is installed, how it fits, what can be downloaded, and what is on its way."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from PySide6.QtCore import QObject, QTimer, Signal

from app.bridge import Bridge
from app.viewmodels import wording
from legion_core.api.types import AnswerEnded, Event, ModelChanged, ModelFit, ModelRow, PullProgressed

if TYPE_CHECKING:
    from legion_core.api.facade import Legion

T = TypeVar("T")
CONTEXT_DEFAULT = 4096
CONTEXT_STEPS = (2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072, 262_144)
FIT_PAUSE_MS = 60
DOWNLOADS_MAX = 64
FIT_WORDS = {
    "fits": ("Fits", "ok", "circle-check"),
    "tight": ("Tight", "warn", "triangle-alert"),
    "too_large": ("Too large", "err", "circle-x"),
}
ACTIVE = ("queued", "downloading", "waiting", "verifying")
PAUSABLE = ("queued", "downloading", "waiting")
RESUMABLE = ("paused", "cancelled", "failed")


@dataclass(frozen=True, slots=True)
class Download:
    """One download as the drawer shows it. `share` is 0–1, or None where the size is not known."""

    name: str
    state: str
    share: float | None
    words: str
    icon: str
    tone: str
    is_active: bool
    bytes_per_s: float = 0.0
    left_bytes: int = 0
    tip: str = ""

    @property
    def can_pause(self) -> bool:
        """Whether it can be held."""
        return self.state in PAUSABLE

    @property
    def can_resume(self) -> bool:
        """Whether it can be gone on with."""
        return self.state in RESUMABLE


def _importing(path: Path) -> "Callable[[Legion], Awaitable[ModelRow]]":
    return lambda legion: legion.models.import_file(str(path))


def download_of(fact: PullProgressed) -> Download:
    """A download's row from its latest fact."""
    share = fact.done_bytes / fact.total_bytes if fact.total_bytes else None
    match fact.state:
        case "downloading":
            words = (
                f"{wording.size(fact.done_bytes)} of {wording.size(fact.total_bytes)}"
                if fact.total_bytes
                else wording.size(fact.done_bytes)
            )
            rest = wording.left(fact.done_bytes, fact.total_bytes, fact.bytes_per_s)
            words, icon, tone = f"{words}, {rest}" if rest else words, "arrow-down", "accent"
        case "verifying":
            words = f"Checking SHA-256, {wording.share(share)}" if share is not None else "Checking SHA-256"
            icon, tone = "shield-check", "ok"
        case "ready":
            words, icon, tone, share = "Ready", "circle-check", "ok", 1.0
        case "failed":
            words, icon, tone = fact.problem or "Failed", "circle-x", "err"
        case "cancelled":
            words, icon, tone = "Cancelled", "circle-minus", "neutral"
        case "paused":
            words, icon, tone = f"Paused{_far(share, fact)}", "circle-pause", "neutral"
        case "waiting":
            words, icon, tone = f"Waiting for network{_far(share, fact)}", "wifi-off", "warn"
        case _:
            words, icon, tone = "Waiting for its turn", "clock", "neutral"
    return Download(
        name=fact.name, state=fact.state, share=share, words=words, icon=icon, tone=tone,
        is_active=fact.state in ACTIVE, bytes_per_s=fact.bytes_per_s,
        left_bytes=max(0, fact.total_bytes - fact.done_bytes) if fact.state in PAUSABLE else 0, tip=fact.problem,
    )  # fmt: skip


def _far(share: float | None, fact: PullProgressed) -> str:
    if share is not None:
        return f", {wording.share(share)}"
    return f", {wording.size(fact.done_bytes)}" if fact.done_bytes else ""


def downloads_words(downloads: Sequence[Download]) -> str:
    """`2 of 3 active, 18 MB/s, done in about 6 min`."""
    active = [found for found in downloads if found.is_active]
    if not active:
        return "none active"
    words = [f"{len(active)} of {len(downloads)} active"]
    speed = sum(found.bytes_per_s for found in active)
    if speed:
        words.append(f"{wording.size(round(speed))}/s")
        rest = wording.left(0, sum(found.left_bytes for found in active), speed)
        if rest:
            words.append(f"done in about {rest.removesuffix(' left')}")
    return ", ".join(words)


@dataclass(frozen=True, slots=True)
class FitBar:
    """The stacked bar of the inspector: shares of what is available, each with its words."""

    headline: str
    pill: str
    tone: str
    parts: tuple[tuple[float, str, str, str], ...]
    """`(share, colour token, label, size)`."""


def fit_bar(model: ModelRow, fit: ModelFit) -> FitBar:
    """How a model at a context length lies in the memory there is."""
    whole = max(1, fit.available_bytes)
    left = fit.available_bytes - fit.total_bytes
    words, tone, _ = FIT_WORDS[fit.label]
    quantisation = f", {model.quantisation}" if model.quantisation else ""
    return FitBar(
        headline=f"{wording.size(fit.total_bytes)} of {wording.size(fit.available_bytes)}",
        pill=f"{words}, {wording.size(left)} left" if left > 0 else f"{words}, {wording.size(-left)} short",
        tone=tone,
        parts=(
            (fit.weights_bytes / whole, "data.2", f"Weights{quantisation}", wording.size(fit.weights_bytes)),
            (fit.kv_bytes / whole, "data.3", f"Key-value cache, {wording.short_count(fit.context)}", wording.size(fit.kv_bytes)),
            (fit.compute_bytes / whole, "data.4", "Compute buffer", wording.size(fit.compute_bytes)),
            (fit.margin_bytes / whole, "data.5", "Margin", wording.size(fit.margin_bytes)),
        ),
    )  # fmt: skip


def context_steps(context_max: int) -> tuple[int, ...]:
    """The stops of the context slider: powers of two up to the model's own bound, which is the last."""
    bound = context_max or 8192
    steps = [step for step in CONTEXT_STEPS if step < bound]
    return (*steps, bound) if bound >= CONTEXT_STEPS[0] else (bound,)


class ModelsViewModel(QObject):
    """The Models page. `filter` and `query` choose rows; the selected row fills the inspector."""

    changed = Signal()
    """Rows, catalogue or hardware are new."""
    selected_changed = Signal()
    fit_changed = Signal()
    downloads_changed = Signal()
    busy_changed = Signal()
    removed = Signal(str, object)
    """`(name, bytes freed)`; a size is no `int` of C, which ends at 2 GB."""
    imported = Signal(str)
    private_asked = Signal(str, str)
    """`(source, host)`: an address leads into this computer or network, and a person has to say that it is meant."""

    def __init__(self, bridge: Bridge, now: Callable[[], datetime]) -> None:
        super().__init__()
        self.setObjectName("viewmodel.models")
        self._bridge = bridge
        self.now = now
        self.all_rows: tuple[ModelRow, ...] = ()
        self.catalogue: tuple[Any, ...] = ()
        self.hardware: Any = None
        self.context = CONTEXT_DEFAULT
        self.query = ""
        self.filter = "all"
        self.selected = ""
        self.fit: ModelFit | None = None
        self.is_loaded = False
        self.busy: frozenset[str] = frozenset()
        self.sums: dict[str, tuple[str, str]] = {}
        """By name: what the inspector says of a sum that was just read from the disk, and its tone."""
        self._downloads: dict[str, Download] = {}
        self._is_visited = False
        self._is_loading = False
        self._is_stale = False
        self._fit_pause = QTimer(self)
        self._fit_pause.setObjectName("models.fit")
        self._fit_pause.setSingleShot(True)
        self._fit_pause.setInterval(FIT_PAUSE_MS)
        self._fit_pause.timeout.connect(self._ask_fit)
        bridge.watch(self._on_changes, ModelChanged, AnswerEnded)
        bridge.watch(self._on_progress, PullProgressed)
        bridge.lost.connect(self.refresh)

    @property
    def rows(self) -> tuple[ModelRow, ...]:
        """The rows that pass the filter and the query."""
        wanted = self.query.lower()
        return tuple(
            row
            for row in self.all_rows
            if (not wanted or wanted in f"{row.name} {row.architecture} {row.quantisation}".lower())
            and (
                self.filter == "all"
                or (self.filter == "fits" and row.fit is not None and row.fit.label != "too_large")
                or (self.filter == "loaded" and row.is_loaded)
            )
        )

    @property
    def downloads(self) -> tuple[Download, ...]:
        """All downloads of this run, the active ones first."""
        return tuple(sorted(self._downloads.values(), key=lambda found: not found.is_active))

    @property
    def current(self) -> ModelRow | None:
        """The selected row."""
        return next((row for row in self.all_rows if row.name == self.selected), None)

    def counts(self) -> dict[str, int]:
        """How many rows each filter leaves."""
        return {
            "all": len(self.all_rows),
            "fits": sum(1 for row in self.all_rows if row.fit is not None and row.fit.label != "too_large"),
            "loaded": sum(1 for row in self.all_rows if row.is_loaded),
        }

    def visit(self) -> None:
        """The page is shown for the first time: load what it shows."""
        if not self._is_visited:
            self._is_visited = True
            self._bridge.launch("models.hardware", lambda legion: legion.models.hardware(), self._on_hardware)
            self._bridge.launch("models.pulls", lambda legion: legion.models.pulls(), self._on_pulls)
            self.refresh()

    def refresh(self) -> None:
        """Load the rows again."""
        if not self._is_visited:
            return
        if self._is_loading:
            self._is_stale = True
            return
        self._is_loading = True

        async def load(legion: Any) -> tuple[tuple[ModelRow, ...], tuple[Any, ...]]:
            return await legion.models.list(), tuple(legion.models.catalogue())

        self._bridge.launch("models.list", load, self._on_list, self._on_failure)

    def show(self, query: str | None = None, filter_key: str | None = None) -> None:
        """Narrow the rows."""
        self.query = self.query if query is None else query.strip()
        self.filter = filter_key or self.filter
        self.changed.emit()

    def select(self, name: str) -> None:
        """Fill the inspector with this model."""
        self.selected = name
        row = self.current
        self.fit = row.fit if row else None
        if self.fit is not None:
            self.context = self.fit.context
        self.selected_changed.emit()
        self.fit_changed.emit()

    def set_context(self, context: int) -> None:
        """Reckon the fit at another context length; the answer comes by `fit_changed`."""
        if context != self.context:
            self.context = context
            self._fit_pause.start()

    def import_files(self, paths: Sequence[Path]) -> None:
        """Take model files in; each refusal is told in its own sentence."""
        for path in paths:
            self._work(
                f"import {path.name}",
                _importing(path),
                self._on_imported,
            )

    def remove(self, name: str) -> None:
        """Delete a model's file."""
        size = next((row.size_bytes for row in self.all_rows if row.name == name), 0)

        def done(_: object) -> None:
            if self.selected == name:
                self.select("")
            self.removed.emit(name, size)
            self.refresh()

        self._work(name, lambda legion: legion.models.remove(name), done)

    def unload(self, name: str) -> None:
        """Free a model's memory."""
        self._work(name, lambda legion: legion.models.unload(name), lambda _: self.refresh())

    def unload_all(self) -> None:
        """Free all models' memory."""
        for row in self.all_rows:
            if row.is_loaded:
                self.unload(row.name)

    def verify(self, name: str) -> None:
        """Read the whole file again and compare its sum with the one it was stored with."""
        known = next((row.sha256 for row in self.all_rows if row.name == name), "")

        def done(digest: str) -> None:
            short = f"{digest[:4]}…{digest[-4:]}"
            if known and known != digest:
                self.sums[name] = (
                    f"The file is not the one that was stored: its sum is {short}. Remove it and fetch it again.",
                    "error",
                )
            elif known:
                self.sums[name] = (f"Read and compared: {short}, as it was stored.", "ok")
            else:
                self.sums[name] = (
                    f"Its sum is {short}. There is none it could be compared with.",
                    "secondary",
                )
            self.selected_changed.emit()

        self._work(name, lambda legion: legion.models.verify(name), done)

    def measure(self, name: str) -> None:
        """Time a short run."""
        self._work(name, lambda legion: legion.models.measure(name), lambda _: self.refresh())

    def pull(self, name_or_url: str, *, allow_private: bool = False) -> None:
        """Download a model of the catalogue, or from an address."""
        source = name_or_url.strip()

        async def act(legion: "Legion") -> str:
            # Imported late: only a download needs what downloads.
            from legion_core.api.downloads import PrivateAddress

            try:
                await legion.models.pull(source, allow_private=allow_private)
            except PrivateAddress as error:
                return error.host
            return ""

        def done(host: str) -> None:
            if host:
                self.private_asked.emit(source, host)

        self._bridge.launch("models.pull", act, done)

    def pause(self, name: str) -> None:
        """Hold a download until it is resumed, over restarts too."""
        self._bridge.launch("models.pause", lambda legion: legion.models.pause_pull(name))

    def pause_all(self) -> None:
        """Hold every download that runs."""
        for found in self.downloads:
            if found.can_pause:
                self.pause(found.name)

    def resume(self, name: str) -> None:
        """Go on with a download that was paused, cancelled or failed."""
        self._bridge.launch("models.resume", lambda legion: legion.models.resume_pull(name))

    def cancel(self, name: str) -> None:
        """End a download; until the drawer lets it go it can be taken back."""
        self._bridge.launch("models.cancel", lambda legion: legion.models.cancel_pull(name))

    def forget_download(self, name: str) -> None:
        """Take an ended download out of the drawer, and what came of it from the disk."""
        found = self._downloads.get(name)
        if found is None or found.is_active:
            return
        del self._downloads[name]
        self.downloads_changed.emit()
        if found.can_resume:
            # Of one that failed for good nothing is left to be deleted.
            self._bridge.launch(
                "models.discard", lambda legion: legion.models.discard_pull(name), None, lambda _: None
            )

    def _work(self, name: str, intent: "Callable[[Legion], Awaitable[T]]", done: Callable[[T], None]) -> None:
        if name in self.busy:
            return
        self._set_busy(name, True)

        def finish(result: T) -> None:
            self._set_busy(name, False)
            done(result)

        def failed(sentence: str) -> None:
            self._set_busy(name, False)
            self._bridge.refused.emit(sentence)

        self._bridge.launch(f"models.{name}", intent, finish, failed)

    def _set_busy(self, name: str, is_busy: bool) -> None:
        self.busy = self.busy | {name} if is_busy else self.busy - {name}
        self.busy_changed.emit()

    def _ask_fit(self) -> None:
        name, context = self.selected, self.context
        if not name:
            return

        def done(fit: ModelFit) -> None:
            if (name, context) == (self.selected, self.context):
                self.fit = fit
                self.fit_changed.emit()

        self._bridge.launch("models.fit", lambda legion: legion.models.fit(name, context), done)

    def _on_list(self, found: tuple[tuple[ModelRow, ...], tuple[Any, ...]]) -> None:
        self._is_loading = False
        self.is_loaded = True
        self.all_rows, self.catalogue = found
        if self.current is None:
            self.select(
                next(
                    (row.name for row in self.all_rows if row.is_loaded),
                    self.all_rows[0].name if self.all_rows else "",
                )
            )
        else:
            self.selected_changed.emit()
        self.changed.emit()
        if self._is_stale:
            self._is_stale = False
            self.refresh()

    def examine(self, done: Callable[[Any, Any], None]) -> None:
        """Ask how the models' processes are and what the doctor finds; `done(processes, checks)` is shown it."""

        async def look_at(legion: Any) -> tuple[Any, Any]:
            return await legion.models.engines(), await legion.ops.doctor()

        self._bridge.launch("models.examine", look_at, lambda found: done(*found))

    def _on_failure(self, sentence: str) -> None:
        self._is_loading = False
        self._bridge.refused.emit(sentence)

    def _on_hardware(self, hardware: Any) -> None:
        self.hardware = hardware
        self.changed.emit()

    def _on_pulls(self, facts: Sequence[PullProgressed]) -> None:
        self._on_progress([fact for fact in facts if fact.name not in self._downloads])

    def _on_imported(self, row: ModelRow) -> None:
        self.selected = row.name
        self.imported.emit(row.name)
        self.refresh()

    def _on_changes(self, _: Sequence[Event]) -> None:
        self.refresh()

    def _on_progress(self, facts: Sequence[Event]) -> None:
        for fact in facts:
            if isinstance(fact, PullProgressed):
                held = self._downloads.get(fact.name)
                made = download_of(fact)
                # The last word about a share must not be lost when only the state changes.
                self._downloads[fact.name] = (
                    replace(made, share=held.share) if held is not None and made.share is None else made
                )
        while len(self._downloads) > DOWNLOADS_MAX:
            del self._downloads[next(iter(self._downloads))]
        self.downloads_changed.emit()


def estimate(offer: Any, hardware: Any) -> str:
    """Whether a model that is not here yet would fit, by its size alone: `fits`, `tight`, `too_large`, or unknown.

    Weights, a tenth of them for the cache and buffers, and 300 MB for the process. The exact arithmetic needs the
    file's header and comes with the file.
    """
    if hardware is None:
        return ""
    room = max([card.free_bytes for card in hardware.gpus] + [hardware.memory_free_bytes])
    needed = offer.size_bytes_about * 1.1 + 300_000_000
    return "fits" if needed < room * 0.8 else "tight" if needed < room else "too_large"


def hardware_words(hardware: Any) -> str:
    """`32 GB memory, 12 GB GPU, 214 GB free on disk`."""
    if hardware is None:
        return ""
    parts = [f"{wording.whole_size(hardware.memory_bytes)} memory"]
    parts += [
        f"{wording.whole_size(card.memory_bytes)} {card.name}" for card in hardware.gpus if card.memory_bytes
    ]
    parts.append(f"{wording.whole_size(hardware.disk_free_bytes)} free on disk")
    return ", ".join(parts)


def process_words(process: Any) -> str:
    """`llama.cpp b7000, process 4711, started once, never crashed`, and how the last one ended."""
    parts: list[str] = []
    if process.engine:
        parts.append(f"{process.engine} {process.version}".strip())
    if process.pid is not None:
        parts.append(f"process {process.pid}")
    parts.append("started once" if process.starts == 1 else f"started {wording.count(process.starts)} times")
    parts.append(
        "never crashed"
        if not process.crashes
        else "crashed once"
        if process.crashes == 1
        else f"crashed {wording.count(process.crashes)} times"
    )
    if process.last_exit:
        parts.append(f"the last one {process.last_exit}")
    return ", ".join(parts)
