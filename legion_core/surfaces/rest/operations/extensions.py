"""`/api/v1/extensions`: what can be run here."""

import msgspec

from legion_core.api.extension_types import Created, ExtensionRow, FunctionRow
from legion_core.surfaces.rest.calls import Call, Desk, Operation, Reply


class NameBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The name of a new extension: lower-case letters, digits and underscores."""

    name: str


async def list_extensions(desk: Desk, call: Call) -> Reply:
    """By name; one that cannot be used says why."""
    return Reply(await desk.legion.extensions.list())


async def show_extension(desk: Desk, call: Call) -> Reply:
    """Its functions and what they take."""
    return Reply(await desk.legion.extensions.get(call.path["name"]))


async def show_function(desk: Desk, call: Call) -> Reply:
    """By dotted name."""
    return Reply(await desk.legion.extensions.function(call.path["name"]))


async def create_extension(desk: Desk, call: Call) -> Reply:
    """In LEGION_HOME/extensions."""
    return Reply(await desk.legion.extensions.create(call.read(NameBody).name), status=201)


_READ, _WRITE = ("extensions", "read"), ("extensions", "write")
_FUNCTION = FunctionRow(
    name="http.request.get",
    description="Fetch an address.",
    arguments={
        "type": "object",
        "properties": {"url": {"type": "string", "description": "http or https"}},
        "required": ["url"],
        "additionalProperties": False,
    },
    effect="pure",
    timeout_s=300.0,
    retries=0,
    runs_in="loop",
)
_ROW = ExtensionRow(name="http", origin="builtin", functions=(_FUNCTION,))

OPERATIONS = (
    Operation(
        method="GET",
        path="/api/v1/extensions",
        name="list_extensions",
        summary="Extensions and their functions",
        handler=list_extensions,
        right=_READ,
        answer=tuple[ExtensionRow, ...],
        example=(_ROW,),
    ),
    Operation(
        method="POST",
        path="/api/v1/extensions",
        name="create_extension",
        summary="Begin a new extension",
        handler=create_extension,
        right=_WRITE,
        answer=Created,
        example=Created(
            path="/home/ada/.local/share/legion/extensions/mine", functions=("mine.runner.function",)
        ),
        status=201,
        body=NameBody,
        body_example=NameBody(name="mine"),
    ),
    Operation(
        method="GET",
        path="/api/v1/extensions/functions/{name}",
        name="show_function",
        summary="One function and its arguments",
        handler=show_function,
        right=_READ,
        answer=FunctionRow,
        example=_FUNCTION,
    ),
    Operation(
        method="GET",
        path="/api/v1/extensions/{name}",
        name="show_extension",
        summary="One extension",
        handler=show_extension,
        right=_READ,
        answer=ExtensionRow,
        example=_ROW,
    ),
)
