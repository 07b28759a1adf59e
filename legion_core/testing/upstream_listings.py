"""What a fake provider says beside its answers: the models it has, and their vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from legion_core.testing import upstream_bedrock, upstream_gemini
from legion_core.testing.upstream_wires import WireName


@dataclass(frozen=True, slots=True)
class Served:
    """A model the upstream offers."""

    id: str = "m1"
    context: int = 4096
    width: int = 3  # of its embeddings; 0 for none
    capabilities: tuple[str, ...] = ("completion", "tools")
    owner: str = ""  # what an OpenAI-like server says made it, by which servers are told apart


def other(wire: WireName, path: str, asked: dict[str, Any], models: Sequence[Served]) -> Any:
    """The JSON answer to anything but a question; None if there is no such path or model."""
    model = models[0]
    if "model" in asked:
        model = next((served for served in models if served.id == asked["model"]), model)
    match wire:
        case "openai":
            return _openai(path, asked, models, model)
        case "anthropic":
            return _anthropic(path, models)
        case "ollama":
            return _ollama(path, asked, models, model)
        case "gemini":
            return _google(path, asked, models)
        case "bedrock":
            return upstream_bedrock.listing(path, [served.id for served in models])


def _openai(path: str, asked: dict[str, Any], models: Sequence[Served], model: Served) -> Any:
    if path == "/openai/deployments":  # Azure
        rows = [
            {"id": m.id, "model": "gpt-4o", "object": "deployment", "status": "succeeded"} for m in models
        ]
        return {"object": "list", "data": rows}
    if path in ("/v1/models", "/openai/v1/models", "/openai/models"):
        return {"object": "list", "data": [_listed(served) for served in models]}
    if path.endswith("/embeddings") and model.width:
        vectors = _vectors(len(asked["input"]), model.width, asked.get("dimensions"))
        rows = [{"object": "embedding", "index": at, "embedding": row} for at, row in enumerate(vectors)]
        usage = {"prompt_tokens": len(vectors), "total_tokens": len(vectors)}
        return {"object": "list", "data": rows[::-1], "model": model.id, "usage": usage}
    return None


def _listed(model: Served) -> dict[str, Any]:
    row: dict[str, Any] = {"id": model.id, "object": "model", "created": 1}
    if model.owner:
        row["owned_by"] = model.owner
    if model.owner == "vllm":
        row["max_model_len"] = model.context
    if model.owner == "llamacpp":
        row["meta"] = {"n_ctx": model.context, "n_ctx_train": 2 * model.context}
    return row


def _anthropic(path: str, models: Sequence[Served]) -> Any:
    if path.endswith("/publishers/google/models"):  # Vertex
        return upstream_gemini.publisher_listing([])
    if path != "/v1/models":
        return None
    rows = [
        {"type": "model", "id": m.id, "display_name": m.id, "created_at": "2026-01-01T00:00:00Z"}
        for m in models
    ]
    return {"data": rows, "has_more": False, "first_id": models[0].id, "last_id": models[-1].id}


def _ollama(path: str, asked: dict[str, Any], models: Sequence[Served], model: Served) -> Any:
    if path == "/api/tags":
        rows = [{"name": m.id, "model": m.id, "size": 1, "details": {"family": "llama"}} for m in models]
        return {"models": rows}
    if path == "/api/show":
        info = {"general.architecture": "llama", "llama.context_length": model.context}
        return {"model_info": info, "capabilities": list(model.capabilities)}
    if path == "/api/version":
        return {"version": "0.20.0"}
    if path == "/api/embed" and model.width:
        vectors = _vectors(len(asked["input"]), model.width, asked.get("dimensions"))
        return {"model": model.id, "embeddings": vectors, "prompt_eval_count": len(vectors)}
    return None


def _google(path: str, asked: dict[str, Any], models: Sequence[Served]) -> Any:
    name = path.rpartition("/")[2].partition(":")[0]
    width = next((served.width for served in models if served.id == name), 0)
    if path.endswith("/publishers/google/models"):
        return upstream_gemini.publisher_listing([served.id for served in models])
    if path.endswith("/models"):
        return upstream_gemini.listing([(m.id, m.context, bool(m.width)) for m in models])
    if path.endswith(":batchEmbedContents") and width:
        length = asked["requests"][0].get("outputDimensionality")
        return upstream_gemini.vectors(_vectors(len(asked["requests"]), width, length))
    if path.endswith(":predict") and width:
        length = asked["parameters"].get("outputDimensionality")
        return upstream_gemini.predictions(_vectors(len(asked["instances"]), width, length))
    return None


def _vectors(count: int, width: int, asked: int | None = None) -> list[list[float]]:
    """As long as asked for, where they are at least that long; else the wish is passed over, as some servers do."""
    width = asked if asked is not None and asked <= width else width
    return [[round(1.0 / (1 + row + column), 6) for column in range(width)] for row in range(count)]
