"""Model servers that run on this computer: who answers on the ports they are known for. Only when somebody asks.

Nothing is sent but GETs without any key, to this machine alone, and no redirection is followed. What is found is a
proposal to add an instance; nothing is added.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import msgspec

from legion_core.gateway.providers.wire import Limits, Wire, is_loopback
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import BadCredentials, ProviderError

# The ports these servers take when nobody tells them otherwise.
PORTS: Final[dict[int, str]] = {
    11434: "Ollama",
    8000: "vLLM",
    1234: "LM Studio",
    8080: "llama-server, MLX",
    30000: "SGLang",
    1337: "Jan",
}
PATIENCE_S: Final = 2.0  # of one server: it is on this machine, and may be busy loading
MODELS_MAX: Final = 200
_LIMITS: Final = Limits(connect_s=0.5, first_event_s=1.0, idle_s=1.0, answer_s=1.0)

T = TypeVar("T")


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A server that answers: what to add it as, and what it offers. `needs_key`: it told no more without one."""

    kind: str
    title: str
    name: str
    base_url: str
    version: str = ""
    models: tuple[str, ...] = ()
    needs_key: bool = False
    is_added: bool = False


class _Version(msgspec.Struct):
    version: str


class _Tag(msgspec.Struct):
    name: str


class _Tags(msgspec.Struct):
    models: list[_Tag]


class _Model(msgspec.Struct):
    id: str
    owned_by: str = ""


class _Models(msgspec.Struct):
    data: list[_Model]


class _Props(msgspec.Struct):
    build_info: str


class _Loaded(msgspec.Struct):
    """A model as LM Studio's own interface tells it."""

    id: str
    compatibility_type: str


class _LoadedModels(msgspec.Struct):
    data: list[_Loaded]


async def look_around(
    clock: Clock,
    env: Mapping[str, str],
    *,
    own_port: int = 0,
    ports: Iterable[int] = PORTS,
) -> tuple[Found, ...]:
    """Every model server that answers on `ports` of this machine, and where OLLAMA_HOST points if that is here.

    `own_port` is left out: it is this program's own. Takes at most `PATIENCE_S`.
    """
    told = _port_of(env.get("OLLAMA_HOST", ""))
    wanted: dict[int, None] = dict.fromkeys(ports) | ({told: None} if told else {})
    tasks = list[asyncio.Task[Found | None]]()
    async with asyncio.TaskGroup() as group:
        for port in wanted:
            if port != own_port:
                tasks.append(group.create_task(_ask(clock, port)))
    found = [task.result() for task in tasks]
    return tuple(each for each in found if each is not None)


async def _ask(clock: Clock, port: int) -> Found | None:
    try:
        async with asyncio.timeout(PATIENCE_S), _opened(clock, port) as wire:
            return await _ollama(wire) or await _speaks_openai(wire)
    except TimeoutError:
        return None


@asynccontextmanager
async def _opened(clock: Clock, port: int) -> AsyncGenerator[Wire]:
    wire = Wire(f"port {port}", f"http://127.0.0.1:{port}", clock, limits=_LIMITS)
    try:
        yield wire
    finally:
        await wire.aclose()


async def _ollama(wire: Wire) -> Found | None:
    version = await _told(wire, "/api/version", _Version)
    if version is None:
        return None
    tags = await _told(wire, "/api/tags", _Tags)
    if tags is None:  # it has another program's version there
        return None
    return Found(
        kind="ollama",
        title="Ollama",
        name="ollama",
        base_url=wire.base_url,
        version=version.version,
        models=_some(tag.name for tag in tags.models),
    )


async def _speaks_openai(wire: Wire) -> Found | None:
    """What speaks that protocol; who made it is told by a word in its models, or by an interface only it has."""
    base_url = f"{wire.base_url}/v1"
    try:
        listed = await wire.get("/v1/models", _Models)
    except BadCredentials:
        return Found(
            kind="openai",
            title="A model server with a key",
            name=_named(wire),
            base_url=base_url,
            needs_key=True,
        )
    except ProviderError:
        return None
    owners, models = {model.owned_by for model in listed.data}, _some(model.id for model in listed.data)
    kind, title, name, version = "openai", "A model server", _named(wire), ""
    if "vllm" in owners:
        told = await _told(wire, "/version", _Version)
        kind, title, name, version = "vllm", "vLLM", "vllm", told.version if told else ""
    elif "sglang" in owners:
        title, name = "SGLang", "sglang"
    elif (props := await _told(wire, "/props", _Props)) is not None:
        title, name, version = "llama-server", "llama-server", props.build_info
    elif "llamacpp" in owners:
        title, name = "llama-server", "llama-server"
    elif await _told(wire, "/api/v0/models", _LoadedModels) is not None:
        title, name = "LM Studio", "lm-studio"
    return Found(kind=kind, title=title, name=name, base_url=base_url, version=version, models=models)


async def _told(wire: Wire, path: str, kind: type[T]) -> T | None:
    """The JSON answer to a GET; None for any other answer."""
    try:
        return await wire.get(path, kind)
    except ProviderError:
        return None


def _some(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(name[:200] for name, _ in zip(names, range(MODELS_MAX), strict=False))


def _named(wire: Wire) -> str:
    return f"server-{wire.base_url.rpartition(':')[2]}"


def _port_of(address: str) -> int:
    """The port of an OLLAMA_HOST (`HOST`, `HOST:PORT`, a URL) on this machine; 0 for any other."""
    host, _, port = address.removeprefix("http://").rstrip("/").rpartition(":")
    return int(port) if host and is_loopback(host) and port.isdigit() and 0 < int(port) < 65_536 else 0
