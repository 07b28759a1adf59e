"""Model files on this computer: what is there, how it fits, and what the router may use of it."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

import msgspec

from legion_core.api.downloads import Downloads
from legion_core.api.types import ModelChanged, ModelFit, ModelRow, PullProgressed
from legion_core.gateway.inventory import Inventory
from legion_core.gateway.ledger import Ledger
from legion_core.gateway.providers.llamacpp import ResolvedModel
from legion_core.gateway.types import (
    Attempt,
    Capability,
    Finished,
    Message,
    ModelOffer,
    Params,
    Request,
    TextBlock,
)
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import Conflict, NotFound
from legion_core.kernel.events import EventBus
from legion_core.kernel.ids import Ids
from legion_core.kernel.settings_schema import Models as ModelSettings
from legion_core.kernel.supervise import Supervisor
from legion_core.models.catalogue import Offer, catalogue
from legion_core.models.fit import fit
from legion_core.models.gguf import Header
from legion_core.models.hardware import Hardware, look
from legion_core.models.pull import Puller
from legion_core.models.store import ModelStore, StoredModel, file_sha256
from legion_core.workers.supervisor import Health

LOCAL = "local"
HARDWARE_AGE_MAX_S = 5.0
MEASURE_TOKENS = 32
GPU_BYTES_MIN = 1 << 30
STARTER_REPEAT_PENALTY = 1.1  # without it, so small a model ends in a loop now and then
STARTER_TOKENS_MAX = 1024  # where a request sets no bound: it has nothing to say beyond
STARTER_TEMPERATURE = 0.2  # what SmolLM2's makers recommend; warmer, so small a model wanders
SLOTS = 2  # answers at a time from one model; they share its context


class EngineRow(msgspec.Struct, frozen=True, kw_only=True):
    """The process of one model since the workbench started; `state` is starting, ready, backing_off or stopped."""

    model: str
    state: str
    pid: int | None = None
    engine: str = ""  # empty until the process was ready once
    version: str = ""
    starts: int = 0
    crashes: int = 0
    last_exit: str = ""  # in words: "was killed by SIGSEGV, a crash in native code"


class LocalEngine(Protocol):
    """What is asked of the provider that runs the files, beyond being one."""

    @property
    def loaded(self) -> tuple[str, ...]:
        """The models whose child process is up."""
        ...

    def health(self, model: str) -> Health | None:
        """How the model's process is; None if it was never started."""
        ...

    async def load(self, model: str) -> None:
        """Start the model's child process ahead of its first question."""
        ...

    async def unload(self, model: str) -> bool:
        """End the model's child process unless it is answering; True if it is not up any more."""
        ...

    async def unload_idle(self, idle_s: float) -> tuple[str, ...]:
        """End the processes not used for so long; gives the models' names."""
        ...


class Shelf:
    """The usable files as last listed: what the local provider may open, found by name without touching the disk."""

    def __init__(self, settings: Callable[[], ModelSettings]) -> None:
        self._settings = settings
        self._files: dict[str, StoredModel] = {}
        self.offers: tuple[ModelOffer, ...] = ()

    def put(self, files: Sequence[StoredModel]) -> None:
        """Replace what is there; `files` in the order the router shall prefer them."""
        self._files = {file.name: file for file in files}
        self.offers = tuple(_offer(file, self._settings().context) for file in files)

    def resolve(self, name: str) -> ResolvedModel:
        """The file of that name and how to open it; raises NotFound."""
        file = self._files.get(name)
        if file is None or file.header is None:
            raise NotFound(
                f"There is no model named {name!r}.", hint="`legion model list` shows what is there."
            )
        settings = self._settings()
        return ResolvedModel(
            path=Path(file.path),
            context_tokens=min(settings.context, file.header.context_max or settings.context),
            threads=settings.threads,
            slots=SLOTS,
            is_embedding=file.header.is_embedding_model,
            temperature=STARTER_TEMPERATURE if file.is_starter else None,
            repeat_penalty=STARTER_REPEAT_PENALTY if file.is_starter else None,
            output_tokens_max=STARTER_TOKENS_MAX if file.is_starter else None,
        )


class Models:
    """The Models page and `legion model`. Keeps the local instance's offers true to the files there are."""

    def __init__(
        self,
        store: ModelStore,
        shelf: Shelf,
        engine: LocalEngine,
        inventory: Inventory,
        ledger: Ledger,
        clock: Clock,
        ids: Ids,
        bus: EventBus,
        supervisor: Supervisor,
        settings: Callable[[], ModelSettings],
    ) -> None:
        self._store = store
        self._shelf = shelf
        self._engine = engine
        self._inventory = inventory
        self._ledger = ledger
        self._clock = clock
        self._ids = ids
        self._bus = bus
        self._settings = settings
        self._downloads = Downloads(Puller(clock, store), bus, supervisor, self._changed)
        self._hardware: Hardware | None = None
        self._hardware_at_s = 0.0

    async def refresh(self) -> None:
        """Offer to the router what can be used now: larger models that fit first, the starter last."""
        files = await self._store.list()
        hardware = await self.hardware()
        usable = [file for file in files if file.header is not None and not file.problem]
        usable.sort(key=lambda file: _preference(file, hardware, self._settings().context))
        self._shelf.put(usable)
        self._inventory.set_offers(LOCAL, self._shelf.offers)

    async def list(self, *, context: int | None = None) -> tuple[ModelRow, ...]:
        """Every file with its fit at `context` tokens (the configured ones, if None); broken ones with the reason."""
        files, hardware = await asyncio.gather(self._store.list(), self.hardware())
        speeds = await self._ledger.speeds(LOCAL)
        loaded = self._engine.loaded
        at = context or self._settings().context
        return tuple(_row(file, hardware, at, file.name in loaded, speeds.get(file.name)) for file in files)

    async def import_file(self, path: str, *, name: str = "", link: bool = False) -> ModelRow:
        """Take in a GGUF file, by copy or by link; refused with the reason if it is none, or lies."""
        added = await self._store.add(Path(path), name=name, how="link" if link else "copy")
        await self._changed(added.name)
        return await self._one(added.name)

    async def remove(self, name: str) -> None:
        """Delete the file (of a link, the link); Conflict for the starter."""
        await self.unload(name)
        await self._store.remove(name)
        await self._changed(name)

    async def fit(self, name: str, context: int) -> ModelFit:
        """Whether it fits at `context` tokens, with the arithmetic."""
        found = await self._store.get(name)
        assert found.header is not None
        return _fit(found.header, await self.hardware(), context)

    async def verify(self, name: str) -> str:
        """The file's SHA-256, read from the disk now; a first one is remembered, to be compared with later."""
        found = await self._store.get(name)
        if not found.sha256:
            return await self._store.hash(name)
        return await asyncio.to_thread(file_sha256, Path(found.path))

    async def unload(self, name: str) -> None:
        """Free its memory; the next question loads it again. Conflict while it is answering."""
        if not await self._engine.unload(name):
            raise Conflict(f"{name} is answering.", hint="Stop the answer first, or wait for its end.")
        self._tell(name)

    async def unload_when_idle(self) -> None:
        """Free the memory of models nobody has asked for a while, for ever. No timer runs while none is loaded."""
        with self._bus.subscribe(ModelChanged, size_max=1, coalesce=lambda _: "any") as changes:
            while True:
                idle_s = float(self._settings().idle_unload_s)
                if idle_s and self._engine.loaded:
                    await asyncio.sleep(idle_s)
                    for name in await self._engine.unload_idle(idle_s):
                        self._tell(name)
                else:
                    await changes.take()

    async def load(self, name: str) -> None:
        """Start the model's process now, so that the first question does not wait for it."""
        await self._engine.load((await self._store.get(name)).name)
        self._tell(name)

    async def engines(self) -> tuple[EngineRow, ...]:
        """The process of every model that was started since the workbench was."""
        found = ((offer.id, self._engine.health(offer.id)) for offer in self._shelf.offers)
        return tuple(_engine(model, health) for model, health in found if health is not None)

    async def measure(self, name: str) -> ModelRow:
        """A short run that the ledger remembers as this computer's speed."""
        found = await self._store.get(name)
        question = Message(role="user", content=(TextBlock(text="Count from one to forty in words."),))
        request = Request(
            id=self._ids.new("req"),
            messages=(question,),
            params=Params(max_tokens=MEASURE_TOKENS, temperature=0.0),
            dialect="measure",
        )
        provider = self._inventory.get(LOCAL).provider
        start_at, start_s = self._clock.utc_now(), self._clock.monotonic_s()
        first_s: float | None = None
        async with provider.stream(request, found.name) as chunks:
            async for chunk in chunks:
                if first_s is None:
                    first_s = self._clock.monotonic_s() - start_s
                if isinstance(chunk, Finished):
                    duration_s = self._clock.monotonic_s() - start_s
                    attempt = Attempt(
                        number=1,
                        tier="local",
                        instance=LOCAL,
                        model=found.name,
                        outcome="succeeded",
                        usage=chunk.usage,
                        cost_usd=0.0,
                        started_at=start_at,
                        first_token_s=first_s,
                        duration_s=duration_s,
                    )
                    await self._ledger.settle(request, (attempt,), outcome="succeeded", duration_s=duration_s)
                    break
        self._tell(name)
        return await self._one(found.name)

    async def pull(self, name_or_url: str, *, allow_private: bool = False) -> str:
        """Begin a download; the name that its `PullProgressed` events carry. Goes on where an earlier one stopped.

        PrivateAddress unless `allow_private`, where the URL leads into this computer or network.
        """
        return await self._downloads.start(name_or_url, allow_private=allow_private)

    async def pulls(self) -> tuple[PullProgressed, ...]:
        """Every download that runs, waits or was paused."""
        return await self._downloads.all()

    async def pause_pull(self, name: str) -> None:
        """Hold a download until it is resumed; it stays paused over restarts."""
        await self._downloads.pause(name)

    async def resume_pull(self, name: str) -> None:
        """Go on with a download that was paused, cancelled or failed."""
        await self._downloads.resume(name)

    async def discard_pull(self, name: str) -> None:
        """Delete what arrived of a download that does not run."""
        await self._downloads.discard(name)

    async def go_on_pulling(self) -> None:
        """After a start: continue the downloads that the end of the last process broke off."""
        await self._downloads.go_on()

    async def wait_pull(self, name: str) -> ModelRow:
        """Wait for a download's end; raises what it failed of."""
        return await self._one((await self._downloads.finished(name)).name)

    async def cancel_pull(self, name: str) -> None:
        """End a download; until the workbench ends it can be taken back by `resume_pull`."""
        await self._downloads.cancel(name)

    def catalogue(self) -> tuple[Offer, ...]:
        """What can be downloaded by name, smallest first; shipped with the workbench."""
        return catalogue().models

    async def hardware(self) -> Hardware:
        """What this computer has; read at most every few seconds."""
        now_s = self._clock.monotonic_s()
        if self._hardware is None or now_s - self._hardware_at_s > HARDWARE_AGE_MAX_S:
            self._hardware, self._hardware_at_s = await look(self._store.folder), now_s
        return self._hardware

    async def _one(self, name: str) -> ModelRow:
        for row in await self.list():
            if row.name.lower() == name.lower():
                return row
        raise NotFound(f"There is no model named {name!r}.", hint="`legion model list` shows what is there.")

    async def _changed(self, name: str) -> None:
        await self.refresh()
        self._tell(name)

    def _tell(self, name: str) -> None:
        at_utc, at_mono_s = self._bus.stamp()
        self._bus.publish(ModelChanged(at_utc=at_utc, at_mono_s=at_mono_s, name=name))


def _engine(model: str, health: Health) -> EngineRow:
    ready = health.ready
    return EngineRow(
        model=model,
        state=health.state,
        pid=health.pid,
        engine=ready.engine if ready else "",
        version=ready.engine_version if ready else "",
        starts=health.starts,
        crashes=health.crashes,
        last_exit=health.last_exit,
    )


def _room(hardware: Hardware) -> tuple[int, str]:
    """How many bytes a model may take, and where: the largest graphics card, if one is worth it, else memory."""
    cards = [card for card in hardware.gpus if card.free_bytes >= GPU_BYTES_MIN]
    if not cards:
        return hardware.memory_free_bytes, "memory"
    best = max(cards, key=lambda card: card.free_bytes)
    return best.free_bytes, best.name


def _fit(header: Header, hardware: Hardware, context: int) -> ModelFit:
    room, where = _room(hardware)
    return msgspec.convert(fit(header, max(1, context), room, where=where), ModelFit, from_attributes=True)


def _preference(file: StoredModel, hardware: Hardware, context: int) -> tuple[bool, bool, int]:
    """Sorts what a person brought before the starter, what fits before what does not, the larger before the smaller."""
    assert file.header is not None
    is_too_large = _fit(file.header, hardware, context).label == "too_large"
    return file.is_starter, is_too_large, -file.header.parameters


def _offer(file: StoredModel, context: int) -> ModelOffer:
    assert file.header is not None
    held = min(context, file.header.context_max or context)
    if file.header.is_embedding_model:
        return ModelOffer(id=file.name, context=held, capabilities=frozenset({"embeddings"}))
    can: frozenset[Capability] = frozenset({"streaming", "structured_output", "completions", "embeddings"})
    return ModelOffer(id=file.name, context=held, capabilities=can, continuation="prefill")


def _row(
    file: StoredModel,
    hardware: Hardware,
    context: int,
    is_loaded: bool,
    speed: tuple[float, datetime] | None,
) -> ModelRow:
    header = file.header
    return ModelRow(
        name=file.name,
        path=file.path,
        size_bytes=file.size_bytes,
        architecture=header.architecture if header else "",
        parameters=header.parameters if header else 0,
        quantisation=header.quantisation if header else "",
        context_max=header.context_max if header else 0,
        licence=file.licence,
        source=file.source,
        sha256=file.sha256,
        has_template=header.has_template if header else False,
        is_loaded=is_loaded,
        is_starter=file.is_starter,
        fit=_fit(header, hardware, context) if header else None,
        tokens_per_s=speed[0] if speed else None,
        last_used_at=speed[1] if speed else None,
        problem=file.problem,
    )
