"""Vectors as Gemini's clients ask for them: one text, or many."""

from typing import Annotated, Any, Final

import msgspec

from legion_core.gateway.dialects.fields import FieldFault
from legion_core.gateway.dialects.gemini import NAME
from legion_core.kernel.errors import InvalidInput, LegionError, Unsupported
from legion_core.surfaces.rest.calls import Call, Desk, Handler, Operation, Raw
from legion_core.surfaces.rest.operations.dialects import TEXTS_MAX, Dimensions, failed


class Part(msgspec.Struct, frozen=True):
    """A piece of a text; pictures and sounds have no vector here."""

    text: str | None = None


class Content(msgspec.Struct, frozen=True):
    """One text in parts."""

    parts: Annotated[tuple[Part, ...], msgspec.Meta(min_length=1, max_length=TEXTS_MAX)]

    @property
    def text(self) -> str:
        """All of it; Unsupported where a part is no text."""
        if any(part.text is None for part in self.parts):
            raise Unsupported("Only texts can be embedded here.", capability="embeddings")
        return "".join(part.text or "" for part in self.parts)


class One(msgspec.Struct, frozen=True, rename="camel"):
    """A text to embed. What the vector is for (`taskType`, `title`) makes no difference to the models here."""

    content: Content
    output_dimensionality: Dimensions | None = None


class Many(msgspec.Struct, frozen=True):
    """Several at once; each may name a model, which is the address's."""

    requests: Annotated[tuple[One, ...], msgspec.Meta(min_length=1, max_length=TEXTS_MAX)]


async def embed_one(desk: Desk, call: Call) -> Raw:
    """One vector."""
    request_id = desk.ids.new("req")
    try:
        vectors = await _vectors(desk, call, (call.read(One),))
    except LegionError as error:
        return failed(desk.legion.llm.dialects[NAME], error, request_id)
    return Raw(msgspec.json.encode({"embedding": {"values": vectors[0]}}))


async def embed_many(desk: Desk, call: Call) -> Raw:
    """One vector for each request, in order."""
    request_id = desk.ids.new("req")
    try:
        vectors = await _vectors(desk, call, call.read(Many).requests)
    except LegionError as error:
        return failed(desk.legion.llm.dialects[NAME], error, request_id)
    return Raw(msgspec.json.encode({"embeddings": [{"values": vector} for vector in vectors]}))


async def _vectors(desk: Desk, call: Call, asked: tuple[One, ...]) -> tuple[tuple[float, ...], ...]:
    lengths = {one.output_dimensionality for one in asked}
    if len(lengths) > 1:
        raise FieldFault(
            "requests.outputDimensionality",
            "is not the same for all of them.",
            hint="Ask for each length by itself.",
        )
    texts = tuple(one.content.text for one in asked)
    if not all(texts):
        raise InvalidInput("There is a text without a character.")
    name = call.path["name"]
    wish = None if name in ("auto", "legion") else name
    found = await desk.legion.llm.embed(wish, texts, call.who, dimensions=lengths.pop())
    return found.vectors


_TEXT: Final[dict[str, Any]] = {"content": {"parts": [{"text": "Hello"}]}}


def _operation(
    version: str, method: str, handler: Handler, body: type, sent: object, example: object
) -> Operation:
    word = "".join(f"_{char.lower()}" if char.isupper() else char for char in method)
    return Operation(
        method="POST",
        path=f"/{version}/models/{{name:path}}:{method}",
        name=f"gemini_{word}" if version == "v1beta" else f"gemini_{version}_{word}",
        summary=f"Gemini's vectors by {method}, under the protocol's version {version}",
        handler=handler,
        right=("gateway/embed", "use"),
        example=example,
        body=body,
        body_example=sent,
        is_enveloped=False,
    )


_VECTOR: Final = {"values": [0.1, -0.2]}

OPERATIONS = tuple(
    operation
    for version in ("v1beta", "v1")
    for operation in (
        _operation(version, "embedContent", embed_one, One, _TEXT, {"embedding": _VECTOR}),
        _operation(
            version, "batchEmbedContents", embed_many, Many, {"requests": [_TEXT]}, {"embeddings": [_VECTOR]}
        ),
    )
)
