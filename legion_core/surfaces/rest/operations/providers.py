"""`/api/v1/providers`: instances that answer, their circuits and their keys (which never come back out)."""

import msgspec

from legion_core.api.types import (
    ModelFacts,
    ModelOffer,
    ModelTrial,
    ProviderRow,
    ProviderSpec,
    TestResult,
)
from legion_core.gateway.discovery import Found
from legion_core.surfaces.rest import examples
from legion_core.surfaces.rest.calls import Call, Desk, Operation, Reply
from legion_core.surfaces.rest.operations.models import Done


class ProviderBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A provider to add. `key` goes to the secrets store; `api_key` is a reference instead (`env://…`)."""

    name: str
    kind: str
    base_url: str = ""
    api_key: str = ""
    tier: str = ""
    models: tuple[ModelOffer, ...] = ()
    key: str | None = None
    test: bool = True

    def spec(self) -> ProviderSpec:
        """The part that is written to the configuration."""
        return ProviderSpec(
            name=self.name,
            kind=self.kind,
            base_url=self.base_url,
            api_key=self.api_key,
            tier=self.tier,
            models=self.models,
        )


async def list_providers(desk: Desk, call: Call) -> Reply:
    """Every instance and how it is; one that was written into the file by hand too."""
    await desk.legion.settings.look_again()
    return Reply(await desk.legion.providers.list())


async def list_kinds(desk: Desk, call: Call) -> Reply:
    """The families that can be added."""
    return Reply(desk.legion.providers.kinds())


async def add_provider(desk: Desk, call: Call) -> Reply:
    """Test, then save."""
    body = call.read(ProviderBody)
    return Reply(await desk.legion.providers.add(body.spec(), body.key, test=body.test), status=201)


async def test_provider(desk: Desk, call: Call) -> Reply:
    """Ask it whether it is there and the key is right."""
    return Reply(await desk.legion.providers.test(call.path["name"]))


class NamedModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model of the instance, by the name the instance knows it by."""

    model: str


async def describe_model(desk: Desk, call: Call) -> Reply:
    """What a person says of it stands above what its server tells."""
    return Reply(await desk.legion.providers.describe_model(call.path["name"], call.read(ModelFacts)))


async def forget_model(desk: Desk, call: Call) -> Reply:
    """Back to what its server tells."""
    body = call.read(NamedModel)
    return Reply(await desk.legion.providers.forget_model(call.path["name"], body.model))


async def try_model(desk: Desk, call: Call) -> Reply:
    """Ask the model itself; nothing is kept."""
    body = call.read(NamedModel)
    return Reply(await desk.legion.providers.try_model(call.path["name"], body.model))


async def trip_provider(desk: Desk, call: Call) -> Reply:
    """Send nothing there until it is reset."""
    return Reply(desk.legion.providers.trip(call.path["name"]))


async def drain_provider(desk: Desk, call: Call) -> Reply:
    """Let it finish what runs."""
    return Reply(desk.legion.providers.drain(call.path["name"]))


async def discover_providers(desk: Desk, call: Call) -> Reply:
    """Look on the ports of this machine that model servers are known for."""
    return Reply(await desk.legion.providers.find())


async def reset_provider(desk: Desk, call: Call) -> Reply:
    """Forget its failures."""
    return Reply(desk.legion.providers.reset(call.path["name"]))


async def remove_provider(desk: Desk, call: Call) -> Reply:
    """Forget it and its key."""
    await desk.legion.providers.remove(call.path["name"])
    return Reply(Done(name=call.path["name"], done="removed"))


_READ, _MANAGE = ("providers", "read"), ("providers", "manage")
_NAME = "/api/v1/providers/{name}"

OPERATIONS = (
    Operation(
        method="GET",
        path="/api/v1/providers",
        name="list_providers",
        summary="Instances and how they are",
        handler=list_providers,
        right=_READ,
        answer=tuple[ProviderRow, ...],
        example=(examples.PROVIDER,),
    ),
    Operation(
        method="GET",
        path="/api/v1/providers/kinds",
        name="list_provider_kinds",
        summary="Families that can be added",
        handler=list_kinds,
        right=_READ,
        example=(),
    ),
    Operation(
        method="GET",
        path="/api/v1/providers/discovered",
        name="discover_providers",
        summary="Model servers running on this machine; none is added",
        handler=discover_providers,
        right=_MANAGE,
        answer=tuple[Found, ...],
        example=(
            Found(
                kind="ollama",
                title="Ollama",
                name="ollama",
                base_url="http://127.0.0.1:11434",
                version="0.9.0",
                models=("llama3.2:3b",),
            ),
        ),
    ),
    Operation(
        method="POST",
        path="/api/v1/providers",
        name="add_provider",
        summary="Add an instance after a test",
        handler=add_provider,
        right=_MANAGE,
        answer=ProviderRow,
        example=examples.PROVIDER,
        status=201,
        body=ProviderBody,
        body_example=ProviderBody(
            name="box-a", kind="openai", base_url="http://127.0.0.1:9001/v1", api_key="env://BOX_A_KEY"
        ),
    ),
    Operation(
        method="POST",
        path=f"{_NAME}/test",
        name="test_provider",
        summary="Is it there, is the key right?",
        handler=test_provider,
        right=_MANAGE,
        answer=TestResult,
        example=examples.TEST,
    ),
    Operation(
        method="POST",
        path=f"{_NAME}/models",
        name="describe_model",
        summary="Say what a model of the instance can",
        handler=describe_model,
        right=_MANAGE,
        answer=ProviderRow,
        example=examples.PROVIDER,
        body=ModelFacts,
        body_example=ModelFacts(model="m1", context=32768, tools=True),
    ),
    Operation(
        method="POST",
        path=f"{_NAME}/models/forget",
        name="forget_model_facts",
        summary="Forget what was said of a model",
        handler=forget_model,
        right=_MANAGE,
        answer=ProviderRow,
        example=examples.PROVIDER,
        body=NamedModel,
        body_example=NamedModel(model="m1"),
    ),
    Operation(
        method="POST",
        path=f"{_NAME}/models/try",
        name="try_model",
        summary="Ask a model what it can, in up to five small requests",
        handler=try_model,
        right=_MANAGE,
        answer=ModelTrial,
        example=examples.TRIAL,
        body=NamedModel,
        body_example=NamedModel(model="m1"),
    ),
    Operation(
        method="POST",
        path=f"{_NAME}/trip",
        name="trip_provider",
        summary="Open its circuit by hand",
        handler=trip_provider,
        right=_MANAGE,
        answer=ProviderRow,
        example=examples.PROVIDER,
    ),
    Operation(
        method="POST",
        path=f"{_NAME}/drain",
        name="drain_provider",
        summary="Let what runs there finish, send nothing new",
        handler=drain_provider,
        right=_MANAGE,
        answer=ProviderRow,
        example=examples.PROVIDER,
    ),
    Operation(
        method="POST",
        path=f"{_NAME}/reset",
        name="reset_provider",
        summary="Close its circuit and forget its failures",
        handler=reset_provider,
        right=_MANAGE,
        answer=ProviderRow,
        example=examples.PROVIDER,
    ),
    Operation(
        method="DELETE",
        path=_NAME,
        name="remove_provider",
        summary="Forget it and its key",
        handler=remove_provider,
        right=_MANAGE,
        answer=Done,
        example=Done(name="box-a", done="removed"),
    ),
)
