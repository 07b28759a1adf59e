"""What the Gemini wire looks like on the provider's side, for both of its doors: an answer as bytes, event by event.

Written from the provider's documentation: chunks are `GenerateContentResponse`s, a call comes whole and without an id,
there is no last event, and every chunk carries the counts so far.
"""

import json
from typing import Any

from legion_core.testing.upstream_wires import Answer, Event


def stream(answer: Answer, asked: dict[str, Any]) -> list[Event]:
    """The events of `POST …:streamGenerateContent?alt=sse`."""
    return [
        Event(f"data: {json.dumps(chunk, ensure_ascii=False)}\r\n\r\n".encode(), tokens)
        for chunk, tokens in _chunks(answer, asked)
    ]


def whole(answer: Answer, asked: dict[str, Any]) -> bytes:
    """The body of `POST …:generateContent`."""
    chunks = [chunk for chunk, _ in _chunks(answer, asked)]
    parts = [part for chunk in chunks for part in chunk["candidates"][0]["content"]["parts"]]
    last = chunks[-1]
    last["candidates"][0]["content"]["parts"] = parts
    return json.dumps(last).encode()


def _chunks(answer: Answer, asked: dict[str, Any]) -> list[tuple[dict[str, Any], int]]:
    chunks = list[tuple[dict[str, Any], int]]()
    said = thought = 0

    def add(part: dict[str, Any], tokens: int, finish: str = "") -> None:
        nonlocal said, thought
        if part.get("thought"):
            thought += tokens
        else:
            said += tokens
        candidate: dict[str, Any] = {"content": {"parts": [part], "role": "model"}, "index": 0}
        if finish:
            candidate["finishReason"] = finish
        chunk: dict[str, Any] = {"candidates": [candidate]}
        if answer.has_usage:
            chunk["usageMetadata"] = counts(answer, said, thought)
        chunks.append((chunk | {"modelVersion": asked.get("model", "m1"), "responseId": "up-1"}, tokens))

    for piece in answer.thinking:
        add({"text": piece, "thought": True}, 1)
    for piece in answer.pieces:
        add({"text": piece}, 1)
    for at, call in enumerate(answer.calls):
        part: dict[str, Any] = {"functionCall": {"name": call.name, "args": json.loads(call.arguments)}}
        if answer.thinking and at == 0:
            part["thoughtSignature"] = answer.signature
        add(part, len(call.cuts))
    add({"text": ""}, 0, answer.stop or "STOP")
    return chunks


def counts(answer: Answer, said: int, thought: int) -> dict[str, Any]:
    """The counts so far: cached tokens within the prompt's, thoughts beside the answer's."""
    prompt = answer.input_tokens + answer.cached_tokens
    told: dict[str, Any] = {"promptTokenCount": prompt, "totalTokenCount": prompt + said + thought}
    if said:
        told["candidatesTokenCount"] = said
    if thought:
        told["thoughtsTokenCount"] = thought
    if answer.cached_tokens:
        told["cachedContentTokenCount"] = answer.cached_tokens
    return told


def error_body(status: int, kind: str, message: str) -> dict[str, Any]:
    """`google.rpc.Status` as JSON; `kind` becomes the canonical code of that HTTP status."""
    codes = {
        400: "INVALID_ARGUMENT",
        401: "UNAUTHENTICATED",
        403: "PERMISSION_DENIED",
        404: "NOT_FOUND",
        429: "RESOURCE_EXHAUSTED",
        500: "INTERNAL",
        503: "UNAVAILABLE",
        504: "DEADLINE_EXCEEDED",
    }
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": kind}]
    return {
        "error": {
            "code": status,
            "message": message,
            "status": codes.get(status, "UNKNOWN"),
            "details": details,
        }
    }


def listing(models: list[tuple[str, int, bool]]) -> dict[str, Any]:
    """`GET /models`: of each model its id, its context and whether it makes vectors."""
    return {
        "models": [
            {
                "name": f"models/{model}",
                "displayName": model,
                "inputTokenLimit": context,
                "outputTokenLimit": 8192,
                "supportedGenerationMethods": ["generateContent", "countTokens"]
                + (["embedContent"] if embeds else []),
            }
            for model, context, embeds in models
        ]
    }


def publisher_listing(models: list[str]) -> dict[str, Any]:
    """`GET /v1beta1/publishers/google/models` of Vertex."""
    return {
        "publisherModels": [
            {"name": f"publishers/google/models/{model}", "versionId": "001"} for model in models
        ]
    }


def vectors(rows: list[list[float]]) -> dict[str, Any]:
    """The answer of `:batchEmbedContents`."""
    return {"embeddings": [{"values": row} for row in rows]}


def predictions(rows: list[list[float]]) -> dict[str, Any]:
    """The answer of Vertex's `:predict` of an embedding model."""
    return {
        "predictions": [
            {"embeddings": {"values": row, "statistics": {"token_count": 3, "truncated": False}}}
            for row in rows
        ]
    }
