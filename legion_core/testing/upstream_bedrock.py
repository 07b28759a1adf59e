"""What the Converse wire looks like on the provider's side: an answer as event-stream messages.

Written from the provider's documentation, the framing too: a mistake in our reader would else be invisible here.
"""

import base64
import json
import struct
import zlib
from typing import Any

from legion_core.testing.upstream_wires import Answer, Event

STRING_HEADER = 7


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """One message: prelude with its checksum, string headers, payload, checksum of all."""
    raw = b"".join(
        struct.pack("!B", len(name))
        + name.encode()
        + struct.pack("!BH", STRING_HEADER, len(value.encode()))
        + value.encode()
        for name, value in headers.items()
    )
    head = struct.pack("!II", 16 + len(raw) + len(payload), len(raw))
    head += struct.pack("!I", zlib.crc32(head))
    return head + raw + payload + struct.pack("!I", zlib.crc32(head + raw + payload))


def event(kind: str, payload: dict[str, Any]) -> bytes:
    """An event; like the real ones it carries letters that only hide its length."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    padded = {**payload, "p": "abcdefghijk"}
    return frame(headers, json.dumps(padded, ensure_ascii=False).encode())


def exception(kind: str, message: str) -> bytes:
    """An error in the middle of a stream."""
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return frame(headers, json.dumps({"message": message}).encode())


def stream(answer: Answer, asked: dict[str, Any]) -> list[Event]:
    """The events of `POST /model/{model}/converse-stream`."""
    events = [Event(event("messageStart", {"role": "assistant"}))]
    index = 0

    def block(start: dict[str, Any] | None, deltas: list[tuple[dict[str, Any], int]]) -> None:
        nonlocal index
        if start is not None:
            events.append(Event(event("contentBlockStart", {"contentBlockIndex": index, "start": start})))
        for delta, tokens in deltas:
            events.append(
                Event(event("contentBlockDelta", {"contentBlockIndex": index, "delta": delta}), tokens)
            )
        events.append(Event(event("contentBlockStop", {"contentBlockIndex": index})))
        index += 1

    if answer.thinking:
        deltas = [({"reasoningContent": {"text": piece}}, 1) for piece in answer.thinking]
        block(None, [*deltas, ({"reasoningContent": {"signature": answer.signature}}, 0)])
    if answer.pieces:
        block(None, [({"text": piece}, 1) for piece in answer.pieces])
    for call in answer.calls:
        block(
            {"toolUse": {"toolUseId": call.id, "name": call.name}},
            [({"toolUse": {"input": cut}}, 1) for cut in call.cuts],
        )
    events.append(Event(event("messageStop", {"stopReason": _stop(answer)})))
    if answer.has_usage:
        events.append(Event(event("metadata", {"usage": _usage(answer), "metrics": {"latencyMs": 5}})))
    return events


def whole(answer: Answer, asked: dict[str, Any]) -> bytes:
    """The body of `POST /model/{model}/converse`."""
    content: list[dict[str, Any]] = [{"text": "".join(answer.pieces)}] if answer.pieces else []
    content += [
        {"toolUse": {"toolUseId": call.id, "name": call.name, "input": json.loads(call.arguments)}}
        for call in answer.calls
    ]
    output = {"message": {"role": "assistant", "content": content}}
    return json.dumps(
        {
            "output": output,
            "stopReason": _stop(answer),
            "usage": _usage(answer),
            "metrics": {"latencyMs": 5},
        }
    ).encode()


def _stop(answer: Answer) -> str:
    return answer.stop or ("tool_use" if answer.calls else "end_turn")


def _usage(answer: Answer) -> dict[str, int]:
    return {
        "inputTokens": answer.input_tokens,
        "outputTokens": answer.output_tokens,
        "totalTokens": answer.input_tokens + answer.output_tokens + answer.cached_tokens,
        "cacheReadInputTokens": answer.cached_tokens,
        "cacheWriteInputTokens": 0,
    }


def error_name(status: int) -> str:
    """The value of `x-amzn-errortype`."""
    names = {
        400: "ValidationException",
        403: "AccessDeniedException",
        404: "ResourceNotFoundException",
        408: "ModelTimeoutException",
        424: "ModelErrorException",
        429: "ThrottlingException",
        500: "InternalServerException",
        503: "ServiceUnavailableException",
    }
    return names.get(status, "UnknownException") + ":http://internal.amazon.com/coral/com.amazon.bedrock/"


def listing(path: str, models: list[str]) -> dict[str, Any] | None:
    """The listings of the control plane: each model on demand, but for one that is only had through a group of regions."""
    if path == "/foundation-models":
        return {
            "modelSummaries": [
                {
                    "modelId": model,
                    "modelArn": f"arn:aws:bedrock:eu-central-1::foundation-model/{model}",
                    "modelName": model,
                    "providerName": "Test",
                    "inputModalities": ["TEXT", "IMAGE"],
                    "outputModalities": ["TEXT"],
                    "responseStreamingSupported": True,
                    "inferenceTypesSupported": ["INFERENCE_PROFILE" if "claude" in model else "ON_DEMAND"],
                    "modelLifecycle": {"status": "ACTIVE"},
                }
                for model in models
            ]
        }
    if path == "/inference-profiles":
        return {
            "inferenceProfileSummaries": [
                {"inferenceProfileId": f"eu.{model}", "status": "ACTIVE", "type": "SYSTEM_DEFINED"}
                for model in models
                if "claude" in model
            ]
        }
    return None


def redacted(data: bytes) -> dict[str, Any]:
    """The delta of thinking that came encrypted."""
    return {"reasoningContent": {"redactedContent": base64.b64encode(data).decode()}}
