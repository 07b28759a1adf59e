"""MLX: models as folders on this computer, each in a child process; or, with an address, a server that speaks OpenAI's wire.

Apple's library reads folders of safetensors, not the files of llama.cpp. A folder is named by its path, or by the name it
was downloaded under (`mlx-community/…`), which is looked for in that tool's cache; nothing is downloaded here.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from legion_core.gateway.providers.base import Provider
from legion_core.gateway.providers.llamacpp import LlamaCpp, ResolvedModel
from legion_core.gateway.providers.openai import OpenAICompatible
from legion_core.gateway.providers.raw import refuse_raw
from legion_core.gateway.providers.stated import settled
from legion_core.gateway.providers.wire import DEFAULT_LIMITS, Limits
from legion_core.gateway.types import Chunk, ModelOffer, Request
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import NotFound
from legion_core.kernel.supervise import Supervisor
from legion_core.workers.frames import Load
from legion_core.workers.supervisor import Worker, command_for

ENGINE = "mlx"
CONTEXT = 8192  # tokens of a model nobody configured: memory on this computer, not the model, is the bound
MODELS_MAX = 200
ALL_LAYERS = 999


def mlx(
    name: str,
    base_url: str,
    clock: Clock,
    *,
    api_key: str = "",
    models: Sequence[ModelOffer] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> Provider:
    """The server at `base_url`; without one, the engine in a child process of ours."""
    if base_url:
        return OpenAICompatible(
            name, base_url, clock, api_key=api_key, kind="mlx", models=models, limits=limits
        )
    return Mlx(name, clock, models=models)


class Mlx(LlamaCpp):
    """One instance; see `Provider`. The processes are its own and end with it."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        *,
        models: Sequence[ModelOffer] = (),
        downloads: Path | None = None,
        command: tuple[str, ...] | None = None,
    ) -> None:
        """`downloads` is the cache to look in; `command` starts the child, where it is another interpreter's."""
        self._configured = {offer.id: settled(offer) for offer in models}
        self._downloads = downloads or Path.home() / ".cache" / "huggingface" / "hub"
        self._supervisor = Supervisor()
        argv = command or command_for(ENGINE)

        def worker(load: Load) -> Worker:
            return Worker(self._supervisor, clock, load, engine=ENGINE, command=argv)

        super().__init__(name, self._folder_of, self._all_offers, worker)

    @property
    def kind(self) -> str:
        """See `Provider`."""
        return "mlx"

    def stream(
        self, request: Request, model: str, *, prefix: str = ""
    ) -> AbstractAsyncContextManager[AsyncIterator[Chunk]]:
        """See `Provider`."""
        refuse_raw(request)
        return super().stream(request, model, prefix=prefix)

    async def aclose(self) -> None:
        """See `Provider`."""
        await super().aclose()
        await self._supervisor.stop()

    def _folder_of(self, model: str) -> ResolvedModel:
        folder = Path(model).expanduser()
        if not (folder / "config.json").is_file():
            found = _snapshot(self._downloads / f"models--{model.replace('/', '--')}")
            if found is None:
                raise NotFound(
                    f"There is no MLX model {model!r} on this computer.",
                    hint="Name a folder with a config.json, or download it first.",
                )
            folder = found
        offer = self._configured.get(model)
        return ResolvedModel(
            folder, context_tokens=offer.context if offer else CONTEXT, gpu_layers=ALL_LAYERS
        )

    def _all_offers(self) -> tuple[ModelOffer, ...]:
        found = dict(self._configured)
        for folder in sorted(self._downloads.glob("models--mlx-community--*"))[:MODELS_MAX]:
            name = folder.name.removeprefix("models--").replace("--", "/", 1)
            if name not in found and _snapshot(folder) is not None:
                found[name] = ModelOffer(id=name, context=CONTEXT, continuation="prefill")
        return tuple(found.values())


def _snapshot(folder: Path) -> Path | None:
    """The newest whole version in a folder of the download cache."""
    whole = [path.parent for path in (folder / "snapshots").glob("*/config.json")]
    return max(whole, key=lambda path: path.stat().st_mtime, default=None)
