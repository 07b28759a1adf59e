"""Tools of other people's servers as functions of the engine: `mcp.SERVER.TOOL`, called like every other task."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from legion_core.agent.mcp.types import ServerSpec, ToolInfo
from legion_core.engine.extension import Context, Traits
from legion_core.engine.registry import Extension, Function
from legion_core.engine.signature import Signature
from legion_core.kernel.errors import InvalidInput, Refused

if TYPE_CHECKING:
    import mcp_types as types

EXTENSION = "mcp"
Tell = Callable[[str], None]
Call = Callable[[str, str, Mapping[str, Any], Tell], Awaitable[dict[str, Any]]]


class _Free(msgspec.Struct, frozen=True):
    """Whatever the server's own schema says; the server checks it."""


@dataclass(frozen=True, slots=True)
class Told(Signature):
    """Arguments as a stranger's schema tells them: what must be given is checked here, the rest by the server."""

    def check(self, args: Mapping[str, Any]) -> bytes:
        """See `Signature`."""
        missing = [name for name in self.schema.get("required", ()) if name not in args]
        if missing:
            raise InvalidInput(f"The arguments lack {', '.join(map(str, missing))}.", hint=self.usage())
        known: Mapping[str, Any] = self.schema.get("properties") or {}
        extra = [name for name in args if name not in known]
        if extra and self.schema.get("additionalProperties") is False:
            raise InvalidInput(f"It takes no {', '.join(extra)[:120]}.", hint=self.usage())
        try:
            return msgspec.json.encode(dict(args))
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidInput(f"The arguments cannot be written as JSON: {error}.") from error

    def read(self, stored: bytes) -> dict[str, Any]:
        """See `Signature`."""
        return {"arguments": msgspec.json.decode(stored, type=dict[str, Any])}


def extension_of(offered: Sequence[tuple[ToolInfo, ServerSpec]], call: Call) -> Extension:
    """All of them as one extension."""
    functions = {info.function: _function(info, spec, call) for info, spec in offered}
    return Extension(
        name=EXTENSION,
        origin="builtin",
        description="Tools of other people's MCP servers that you approved.",
        functions=functions,
    )


def _function(info: ToolInfo, spec: ServerSpec, call: Call) -> Function:
    async def run(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
        return await call(spec.name, info.name, arguments, context.log)

    properties: Mapping[str, Any] = info.arguments.get("properties") or {}
    schema: dict[str, Any] = {"type": "object", "properties": {}, "required": [], **info.arguments}
    signature = Told(
        arguments=_Free,
        names=tuple(properties),
        context="context",
        is_async=True,
        description=f"{info.description or info.name}\n\n(From the MCP server {spec.name}; its own words.)",
        schema=schema,
    )
    return Function(
        info.function,
        run,
        signature,
        Traits(timeout_s=spec.timeout_s + 30.0, risk="danger" if info.says_destructive else "write"),
        "builtin",
    )


def result_of(server: str, tool: str, result: "types.CallToolResult", chars_max: int) -> dict[str, Any]:
    """What a tool gave, bounded, and marked as what it is: a stranger's word, data and no instruction.

    Raises Refused where the tool says it went wrong.
    """
    texts: list[str] = []
    media: list[dict[str, Any]] = []
    for block in result.content:
        match block.type:
            case "text":
                texts.append(block.text)
            case "image" | "audio":
                media.append(_medium(block.mime_type, block.data))
            case "resource":
                content = block.resource
                blob = getattr(content, "blob", "")
                if blob:
                    media.append(_medium(content.mime_type or "application/octet-stream", blob))
                texts.append(str(getattr(content, "text", "") or f"({content.uri})"))
            case _:
                texts.append(f"{block.name} ({block.uri})")
    text = "\n".join(texts)
    is_cut = len(text) > chars_max
    if result.is_error:
        raise Refused(f"{server} says: {text[:1_000] or 'it went wrong'}")
    structured = result.structured_content
    if structured is not None and len(msgspec.json.encode(structured)) > chars_max:
        structured, is_cut = None, True
    return {
        "source": f"mcp:{server}/{tool}",
        "is_untrusted": True,
        "text": text[:chars_max],
        "structured": structured,
        "media": media[:20],
        "is_cut": is_cut,
    }


def _medium(media_type: str, base64: str) -> dict[str, Any]:
    """What there was that is no text: of which kind and how large."""
    return {"media_type": media_type[:120], "bytes": len(base64) * 3 // 4}
