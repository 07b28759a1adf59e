"""The client dialects: other programs' protocols on our port, parsed and rendered by the gateway."""

import base64
import sys
from array import array
from collections.abc import Mapping
from typing import Annotated, Literal, cast

import msgspec

from legion_core.api.types import Opened, Request
from legion_core.gateway.answer import Answer
from legion_core.gateway.dialects.base import Dialect
from legion_core.gateway.dialects.fields import FieldFault, decode_item
from legion_core.gateway.providers.estimate import estimated_usage
from legion_core.kernel.errors import InvalidInput, LegionError
from legion_core.surfaces.rest.calls import (
    Call,
    Client,
    Desk,
    Handler,
    Headers,
    Operation,
    Parameter,
    Raw,
    Streamed,
    Streaming,
)
from legion_core.surfaces.rest.failures import retry_after, unexpected
from legion_core.surfaces.rest.presence import ClientStuck
from legion_core.surfaces.rest.streams import Gathered, Opening, Source, Written, shared
from legion_core.surfaces.shapes import TIER_WORDS, tier_of

PINS = (
    Parameter(
        "x-legion-tier", "Answer on this tier.", {"type": "string", "enum": list(TIER_WORDS)}, "header"
    ),
    Parameter("x-legion-instance", "Answer on this instance.", place="header"),
    Parameter("x-legion-model", "Answer by this model.", place="header"),
    Parameter("x-legion-conversation", "Answer in this conversation, which is kept here.", place="header"),
    Parameter(
        "x-legion-private",
        "`on`: nothing of this request leaves the machine, whatever is pinned.",
        {"type": "string", "enum": ["on", "off"]},
        "header",
    ),
    Parameter("x-legion-curate", "`on` or `off`.", {"type": "string", "enum": ["on", "off"]}, "header"),
)
_KNOWN = frozenset(parameter.name for parameter in PINS)
TEXTS_MAX = 2048


def answering(name: str) -> Handler:
    """The handler of the dialect with this name."""

    async def handle(desk: Desk, call: Call) -> Raw | Streamed:
        return answered(desk, call, desk.legion.llm.dialects[name])

    return handle


def answered(desk: Desk, call: Call, dialect: Dialect) -> Raw | Streamed:
    """What `dialect` makes of one call: its answer, or the fault it finds in the request."""
    request_id = desk.ids.new("req")
    try:
        if not call.is_plain:
            check_headers(call.headers)
        request = dialect.parse(call.body, call.headers, request_id=request_id)
        if not call.is_plain:
            request = _wished(request, call.headers)
        source = shared(desk, call, request)
    except LegionError as error:
        return failed(dialect, error, request_id)
    return Streamed(_streaming(desk, dialect, source) if request.stream else _whole(desk, dialect, source))


def _wished(request: Request, headers: Mapping[str, str]) -> Request:
    """The request as our own headers want it, but for where it goes: a dialect reads that."""
    if headers.get("x-legion-private") == "on":
        request = msgspec.structs.replace(request, is_private=True)
    if (curate := headers.get("x-legion-curate")) is not None:
        request = msgspec.structs.replace(request, curate=curate == "on")
    return request


def check_headers(headers: Mapping[str, str]) -> None:
    """InvalidInput for an `x-legion-` header that is unknown or has no such value: a typo must not route elsewhere."""
    for header, value in headers.items():
        if not header.startswith("x-legion-"):
            continue
        if header not in _KNOWN:
            raise InvalidInput(
                f"`{header[:60]}` is not a header known here.", hint=f"There are {', '.join(sorted(_KNOWN))}."
            )
        if not value.strip() or not value.isprintable():
            raise InvalidInput(f"`{header}` has no usable value.")
    if "x-legion-tier" in headers:
        tier_of(headers["x-legion-tier"].strip())
    for name in ("x-legion-curate", "x-legion-private"):
        if headers.get(name, "on") not in ("on", "off"):
            raise InvalidInput(f"`{name}` must be on or off.")


def _whole(desk: Desk, dialect: Dialect, source: Source) -> Streaming:
    async def write(client: Client) -> None:
        request, is_told = source.request, False
        try:
            answer = Answer(request.id)
            async with source.listen(Gathered(answer)) as events:
                async for event in events:
                    answer.take(event)
                    if answer.is_closed:  # and billed: it goes out before all who made it are sent home
                        body, attempts = dialect.render(answer), len(answer.closed.attempts)
                        route = _route(request.id, answer.tier, answer.instance, answer.model, attempts)
                        is_told = True
                        await client.whole(Raw(body, headers=route))
        except Exception as error:
            if is_told:
                raise
            known = error if isinstance(error, LegionError) else unexpected(error, desk.ids)
            await client.whole(failed(dialect, known, request.id))

    return write


def _streaming(desk: Desk, dialect: Dialect, source: Source) -> Streaming:
    async def write(client: Client) -> None:
        request = source.request
        writer = dialect.writer(request, created_s=int(desk.clock.unix_s()))
        opening = Opening(desk, client, dialect.media_type, request.id, writer)
        try:
            async with source.listen(Written(client, writer)) as events:
                async for event in events:
                    if isinstance(event, Opened):
                        lane = event.lane
                        route = _route(
                            request.id, lane.tier.word, lane.instance, lane.offer.id, event.attempts
                        )
                        await opening.begin(route)
                    if chunk := writer.write(event):
                        await client.send(chunk)
        except ClientStuck:
            raise
        except Exception as error:  # noqa: BLE001  # the wall, in the client's own dialect
            known = error if isinstance(error, LegionError) else unexpected(error, desk.ids)
            if opening.has_begun:
                await opening.begin(())
                await client.finish(writer.error(known))
            else:
                await client.whole(failed(dialect, known, request.id))
            return
        finally:
            opening.close()
        await client.finish()

    return write


def failed(dialect: Dialect, error: LegionError, request_id: str) -> Raw:
    """The error in the dialect's own shape."""
    status, body = dialect.render_error(error)
    return Raw(body, status=status, headers=(("x-legion-request", request_id), *retry_after(error)))


def _route(request_id: str, tier: str, instance: str, model: str, attempts: int) -> Headers:
    return (
        ("x-legion-request", request_id),
        ("x-legion-tier", tier),
        ("x-legion-instance", instance),
        ("x-legion-model", model),
        ("x-legion-attempts", str(attempts)),
    )


async def count_tokens(desk: Desk, call: Call) -> Raw:
    """An estimate, at four characters a token: no model is asked."""
    dialect = desk.legion.llm.dialects["anthropic_messages"]
    request_id = desk.ids.new("req")
    try:
        check_headers(call.headers)
        request = dialect.parse(_with_max_tokens(call), call.headers, request_id=request_id)
        tokens = estimated_usage(request, prefix="", output_chars=0).input_tokens
    except LegionError as error:
        return failed(dialect, error, request_id)
    return Raw(msgspec.json.encode({"input_tokens": tokens}))


def _with_max_tokens(call: Call) -> bytes:
    """The body with the one field that counting does not need and the messages dialect insists on."""
    body = call.read(dict[str, msgspec.Raw])
    return msgspec.json.encode({**body, "max_tokens": msgspec.Raw(b"1"), "stream": msgspec.Raw(b"false")})


DIMENSIONS_MAX = 65_536
Dimensions = Annotated[int, msgspec.Meta(ge=1, le=DIMENSIONS_MAX)]  # how long a vector is to be


class EmbeddingsBody(msgspec.Struct, frozen=True, kw_only=True):
    """OpenAI's request; fields not named here are ignored."""

    input: msgspec.Raw
    model: str = "auto"
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None


_Texts = (
    Annotated[str, msgspec.Meta(min_length=1)]
    | Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=TEXTS_MAX)]
)
_texts = cast("msgspec.json.Decoder[str | tuple[str, ...]]", msgspec.json.Decoder(_Texts))


def _texts_of(told: msgspec.Raw) -> tuple[str, ...]:
    """The texts to embed; FieldFault for anything else, such as the token numbers some libraries send instead."""
    start = bytes(memoryview(told)[:64]).translate(None, b" \t\r\n")
    if start[:1] == b"[" and (start[1:2].isdigit() or start[1:2] == b"["):
        raise FieldFault(
            "input",
            "token numbers mean something to one model only.",
            hint="Send the text itself (in LangChain: check_embedding_ctx_length=False).",
        )
    texts = decode_item(told, _texts, "input")
    return (texts,) if isinstance(texts, str) else texts


async def embeddings(desk: Desk, call: Call) -> Raw:
    """One vector per text, in order."""
    dialect = desk.legion.llm.dialects["openai_chat"]
    request_id = desk.ids.new("req")
    try:
        body = call.read(EmbeddingsBody)
        if body.dimensions is not None and not 1 <= body.dimensions <= DIMENSIONS_MAX:
            raise FieldFault("dimensions", f"is not a number from 1 to {DIMENSIONS_MAX}.")
        texts = _texts_of(body.input)
        model = None if body.model in ("", "auto", "legion") else body.model
        embedded = await desk.legion.llm.embed(model, texts, call.who, dimensions=body.dimensions)
    except LegionError as error:
        return failed(dialect, error, request_id)
    data = [
        {"object": "embedding", "index": index, "embedding": _vector(vector, body.encoding_format)}
        for index, vector in enumerate(embedded.vectors)
    ]
    tokens = embedded.usage.input_tokens
    answer = {
        "object": "list",
        "data": data,
        "model": body.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return Raw(msgspec.json.encode(answer))


def _vector(vector: tuple[float, ...], form: str) -> object:
    if form == "float":
        return vector
    packed = array("f", vector)
    if sys.byteorder == "big":
        packed.byteswap()  # the wire is little-endian
    return base64.b64encode(packed.tobytes()).decode()


_USE = ("gateway/chat", "use")
_CHAT = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}]}

OPERATIONS = (
    Operation(
        method="POST",
        path="/v1/chat/completions",
        name="openai_chat_completions",
        summary="OpenAI chat completions",
        handler=answering("openai_chat"),
        right=_USE,
        example={
            "id": "chatcmpl-req_01kkr",
            "object": "chat.completion",
            "created": 1773480413,
            "model": "smollm2-135m",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "Hello there."},
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": 42, "completion_tokens": 118, "total_tokens": 160},
        },
        body=dict,
        body_example=_CHAT,
        query=PINS,
        is_enveloped=False,
    ),
    Operation(
        method="POST",
        path="/v1/completions",
        name="openai_completions",
        summary="OpenAI completions: text in, its continuation out",
        handler=answering("openai_completions"),
        right=_USE,
        example={
            "id": "cmpl-req_01kkr",
            "object": "text_completion",
            "created": 1773480413,
            "model": "smollm2-135m",
            "choices": [{"text": "    return a + b", "index": 0, "finish_reason": "stop", "logprobs": None}],
            "usage": {"prompt_tokens": 12, "completion_tokens": 6, "total_tokens": 18},
        },
        body=dict,
        body_example={"model": "auto", "prompt": "def add(a, b):\n", "max_tokens": 64},
        query=tuple(each for each in PINS if each.name != "x-legion-conversation"),
        is_enveloped=False,
    ),
    Operation(
        method="POST",
        path="/v1/messages",
        name="anthropic_messages",
        summary="Anthropic messages",
        handler=answering("anthropic_messages"),
        right=_USE,
        example={
            "id": "msg_req_01kkr",
            "type": "message",
            "role": "assistant",
            "model": "smollm2-135m",
            "content": [{"type": "text", "text": "Hello there."}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 42, "output_tokens": 118},
        },
        body=dict,
        body_example={**_CHAT, "max_tokens": 256},
        query=PINS,
        is_enveloped=False,
    ),
    Operation(
        method="POST",
        path="/v1/messages/count_tokens",
        name="anthropic_count_tokens",
        summary="Estimate a request's input tokens",
        handler=count_tokens,
        right=_USE,
        example={"input_tokens": 12},
        body=dict,
        body_example=_CHAT,
        is_enveloped=False,
    ),
    Operation(
        method="POST",
        path="/v1/embeddings",
        name="openai_embeddings",
        summary="OpenAI embeddings",
        handler=embeddings,
        right=_USE,
        example={
            "object": "list",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.1, -0.2]}],
            "model": "auto",
            "usage": {"prompt_tokens": 2, "total_tokens": 2},
        },
        body=EmbeddingsBody,
        body_example={"model": "auto", "input": "Hello"},
        is_enveloped=False,
    ),
)
