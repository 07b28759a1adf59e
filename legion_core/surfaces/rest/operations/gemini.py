"""The Gemini dialect on our port: one address for each model and question."""

from typing import Any, Final

import msgspec

from legion_core.gateway.dialects.gemini import NAME, GeminiGenerate
from legion_core.gateway.providers.estimate import estimated_usage
from legion_core.kernel.errors import LegionError
from legion_core.surfaces.rest.calls import Call, Desk, Handler, Operation, Parameter, Raw, Streamed
from legion_core.surfaces.rest.operations.dialects import PINS, answered, check_headers, failed

_ALT = Parameter("alt", "`sse` for server-sent events; else the stream is one JSON array.")


def _dialect(desk: Desk) -> GeminiGenerate:
    dialect = desk.legion.llm.dialects[NAME]
    assert isinstance(dialect, GeminiGenerate)
    return dialect


async def generate(desk: Desk, call: Call) -> Raw | Streamed:
    """A whole answer."""
    return answered(desk, call, _dialect(desk).at(call.path["name"], "whole"))


async def stream(desk: Desk, call: Call) -> Raw | Streamed:
    """A streamed answer: events, or the elements of an array."""
    form = "sse" if call.query.get("alt") == "sse" else "array"
    return answered(desk, call, _dialect(desk).at(call.path["name"], form))


async def count_tokens(desk: Desk, call: Call) -> Raw:
    """An estimate, at four characters a token: no model is asked."""
    dialect, request_id = _dialect(desk), desk.ids.new("req")
    try:
        check_headers(call.headers)
        request = dialect.parse_count(call.body, call.headers, request_id=request_id)
    except LegionError as error:
        return failed(dialect, error, request_id)
    tokens = estimated_usage(request, prefix="", output_chars=0).input_tokens
    return Raw(msgspec.json.encode({"totalTokens": tokens}))


_USE = ("gateway/chat", "use")
_BODY: Final[dict[str, Any]] = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
_ANSWER: Final[dict[str, Any]] = {
    "candidates": [
        {
            "content": {"parts": [{"text": "Hello there."}], "role": "model"},
            "finishReason": "STOP",
            "index": 0,
        }
    ],
    "usageMetadata": {"promptTokenCount": 42, "candidatesTokenCount": 118, "totalTokenCount": 160},
    "modelVersion": "smollm2-135m",
    "responseId": "req_01kkr",
}


def _operation(
    version: str, method: str, handler: Handler, summary: str, example: object, *more: Parameter
) -> Operation:
    """One question under one of the two versions of the protocol, which differ in nothing here."""
    word = "".join(f"_{char.lower()}" if char.isupper() else char for char in method)
    return Operation(
        method="POST",
        path=f"/{version}/models/{{name:path}}:{method}",
        name=f"gemini_{word}" if version == "v1beta" else f"gemini_{version}_{word}",
        summary=f"{summary}, under the protocol's version {version}",
        handler=handler,
        right=_USE,
        example=example,
        body=dict,
        body_example=_BODY,
        query=(*more, *PINS),
        is_enveloped=False,
    )


OPERATIONS = tuple(
    operation
    for version in ("v1beta", "v1")
    for operation in (
        _operation(version, "generateContent", generate, "Gemini's whole answer", _ANSWER),
        _operation(version, "streamGenerateContent", stream, "Gemini's streamed answer", [_ANSWER], _ALT),
        _operation(
            version, "countTokens", count_tokens, "A Gemini request's input tokens", {"totalTokens": 12}
        ),
    )
)
