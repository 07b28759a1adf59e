"""The description of this surface, made from the route table and the types themselves."""

import re
from typing import Any

import msgspec

from legion_core import __version__
from legion_core.surfaces.rest.calls import Call, Desk, Operation, Raw
from legion_core.surfaces.rest.dialect_shapes import ERRORS, EVENT_STREAM, Shape, shape_of
from legion_core.surfaces.rest.failures import Fault, fault

_PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")
_REF = "#/components/schemas/{name}"
_ERRORS = {
    "400": "The request cannot be understood.",
    "401": "No valid token.",
    "403": "Not allowed.",
    "404": "There is no such thing.",
    "408": "The request did not arrive in time.",
    "409": "It exists already, or its state does not allow this.",
    "413": "The body is too large.",
    "414": "The address is too long.",
    "415": "The body is not JSON.",
    "421": "The Host header names another address.",
    "422": "The answer was held back by a filter.",
    "429": "A limit is reached.",
    "431": "The headers are too large.",
    "500": "Something broke inside; the log has it under the id.",
    "502": "A model could not answer.",
    "503": "Nothing can answer now.",
    "504": "No byte came in time.",
    "529": "Nothing can answer now, as this dialect says it.",
}
_DIALECTS_ONLY = ("529",)
_OPEN = ("400", "403", "408", "414", "421", "431", "503")  # what may meet a caller who needs no token


def describe(operations: tuple[Operation, ...]) -> dict[str, Any]:
    """An OpenAPI 3.1 document."""
    types = [
        kind
        for operation in operations
        for kind in (operation.body, operation.answer)
        if kind is not None and kind is not dict
    ]
    schemas, components = msgspec.json.schema_components([*types, Fault], ref_template=_REF)
    by_type = dict(zip(map(repr, types), schemas, strict=False))
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        path = _PARAMETER.sub(r"{\1}", operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _operation(operation, by_type)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Legion Workbench",
            "version": __version__,
            "description": "One loopback port. Every request carries a token, the owner's or a client's; pages of browsers are refused.",
        },
        "servers": [{"url": "http://127.0.0.1:4567"}],
        "security": [{"bearer": []}, {"apiKey": []}],
        "paths": paths,
        "components": {
            "schemas": {**components, **ERRORS, "Error": _error_schema()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }


def _operation(operation: Operation, by_type: dict[str, Any]) -> dict[str, Any]:
    shape = shape_of(operation)
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": {str(operation.status): _answer(operation, by_type)},
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(operation.path)
    ]
    parameters += [
        {"name": each.name, "in": each.place, "description": each.description, "schema": each.schema}
        for each in operation.query
    ]
    if operation.method == "POST" and operation.path.startswith("/api/v1/"):
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "The same key and body are done once and answered the same way.",
                "schema": {"type": "string", "maxLength": 200},
            }
        )
    if parameters:
        described["parameters"] = parameters
    if operation.body is not None:
        schema = shape.body or (
            {"type": "object"} if operation.body is dict else by_type[repr(operation.body)]
        )
        described["requestBody"] = {
            "required": _has_required(operation, shape.body),
            "content": {
                "application/json": {"schema": schema, "example": msgspec.to_builtins(operation.body_example)}
            },
        }
    is_open = operation.right is None and not operation.is_signed
    if operation.right is None:
        described["security"] = []
    for status, words in _ERRORS.items():
        if (status in _DIALECTS_ONLY and status not in shape.statuses) or (is_open and status not in _OPEN):
            continue
        described["responses"].setdefault(
            status, {"description": words, "content": _contents(shape, also_text=is_open)}
        )
    return described


def _contents(shape: Shape, *, also_text: bool) -> dict[str, Any]:
    kinds = dict.fromkeys((*shape.error_kinds, *(("text/plain",) if also_text else ())))
    text = {"schema": {"type": "string"}}
    return {kind: {"schema": shape.error} if kind.endswith("json") else text for kind in kinds}


def _has_required(operation: Operation, body: dict[str, Any] | None) -> bool:
    """Whether a request without a body, which is read as `{}`, is refused."""
    if body is not None or operation.body is dict:
        return bool(body and body["required"])
    info = msgspec.inspect.type_info(operation.body)
    return not isinstance(info, msgspec.inspect.StructType) or any(field.required for field in info.fields)


def _answer(operation: Operation, by_type: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = by_type[repr(operation.answer)] if operation.answer is not None else {}
    example = msgspec.to_builtins(operation.example)
    if operation.is_enveloped:
        schema = {
            "type": "object",
            "required": ["data", "meta"],
            "properties": {"data": schema, "meta": {"type": "object"}},
        }
        example = {"data": example, "meta": {"at": "2026-03-14T09:26:53.589Z"}}
    content = {"schema": schema or {"type": "string"}, "example": example}
    if not operation.is_enveloped and operation.media_type == "application/json" and not schema:
        content["schema"] = {"type": "array" if isinstance(example, list) else "object"}
    kinds: dict[str, Any] = {operation.media_type: content}
    for kind in (*operation.media_types, *shape_of(operation).streams):
        kinds[kind] = {"schema": {"type": "object"} if kind == "application/json" else {"type": "string"}}
    for kind in kinds.keys() & {EVENT_STREAM}:
        del kinds[kind]["schema"]  # 3.1 has no words for the events of a stream
    return {"description": operation.summary, "content": kinds}


def _error_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["error", "meta"],
        "properties": {
            "type": {"const": "error"},
            "error": {"$ref": "#/components/schemas/Fault"},
            "meta": {"type": "object"},
        },
        "example": {
            "type": "error",
            "error": msgspec.to_builtins(fault(404, "not_found", "There is no model 'x'.")),
            "meta": {},
        },
    }


def operation(described: tuple[Operation, ...]) -> Operation:
    """`/openapi.json` itself; it describes `described` and itself."""

    async def show(desk: Desk, call: Call) -> Raw:
        return Raw(msgspec.json.encode(describe((*described, row))))

    row = Operation(
        method="GET",
        path="/openapi.json",
        name="openapi",
        summary="This description",
        handler=show,
        right=("nodes", "read"),
        example={"openapi": "3.1.0"},
        is_enveloped=False,
    )
    return row
