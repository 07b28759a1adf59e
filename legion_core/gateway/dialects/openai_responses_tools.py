"""Tools of the Responses dialect: functions as they are, custom tools and namespaces as functions and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from legion_core.gateway.dialects.fields import NAME_MAX, TOOLS_MAX, FieldFault, Name, json_object, require
from legion_core.gateway.types import JsonObject, ToolDefinition

# What a custom tool takes is free text; as a function it takes that text as its one argument.
_FREE_TEXT: Final[JsonObject] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}


class Tool(msgspec.Struct):
    """A tool of any type as the client sent it; only `function`, `custom` and `namespace` are looked into."""

    type: str = "function"
    name: Annotated[str, Meta(max_length=NAME_MAX)] | None = None
    description: str | None = None
    parameters: JsonObject | None = None
    format: JsonObject | None = None
    tools: Annotated[list["Tool"], Meta(max_length=TOOLS_MAX)] | None = None


class ToolChoice(msgspec.Struct):
    """A choice that is more than a word."""

    type: str
    name: Name | None = None
    namespace: str | None = None
    mode: Literal["auto", "required"] = "auto"
    tools: Annotated[list["ToolChoice"], Meta(max_length=TOOLS_MAX)] | None = None


@dataclass(frozen=True, slots=True)
class Offered:
    """The tools as functions, and how to say a call of them in this dialect again."""

    tools: tuple[ToolDefinition, ...]
    custom: frozenset[str]
    namespaces: dict[str, tuple[str, str]]  # of a joined name: namespace and name


def joined_name(namespace: str | None, name: str) -> str:
    """One name for a tool in a namespace."""
    if not namespace:
        return name
    return f"{namespace}{name}" if namespace.endswith("__") else f"{namespace}__{name}"


def custom_arguments(text: str) -> str:
    """The input of a custom tool as a function's arguments."""
    return msgspec.json.encode({"input": text}).decode()


def custom_input(arguments: str) -> str:
    """The input of a custom tool from a function's arguments; what is no such object is taken as it is."""
    given = json_object(arguments)
    text = given.get("input") if given else None
    return text if isinstance(text, str) else arguments


def offered(asked: Sequence[Tool]) -> Offered:
    """The functions and what can be said as functions; tools of other types run at one provider only."""
    tools, custom, namespaces = list[ToolDefinition](), set[str](), dict[str, tuple[str, str]]()
    for at, tool in enumerate(asked):
        field = f"tools[{at}]"
        if tool.type != "namespace":
            _offer(tool, "", field, tools, custom)
            continue
        space = tool.name or ""
        require(bool(space), f"{field}.name", "is required.")
        for index, inner in enumerate(tool.tools or ()):
            if _offer(inner, space, f"{field}.tools[{index}]", tools, custom):
                namespaces[tools[-1].name] = (space, inner.name or "")
    names = [tool.name for tool in tools]
    require(len(names) <= TOOLS_MAX, "tools", f"there are more than {TOOLS_MAX}.")
    require(len(set(names)) == len(names), "tools", "two tools have the same name.")
    return Offered(tuple(tools), frozenset(custom), namespaces)


def _offer(tool: Tool, space: str, field: str, tools: list[ToolDefinition], custom: set[str]) -> bool:
    if tool.type not in ("function", "custom"):
        return False
    require(bool(tool.name), f"{field}.name", "is required.")
    name, description = joined_name(space, tool.name or ""), tool.description or ""
    if tool.type == "custom":
        custom.add(name)
        grammar = (tool.format or {}).get("definition")
        if isinstance(grammar, str):
            description += f"\n\n`input` must follow this grammar:\n{grammar}"
        tools.append(ToolDefinition(name=name, description=description, parameters=_FREE_TEXT))
    else:
        tools.append(ToolDefinition(name=name, description=description, parameters=tool.parameters or {}))
    return True


def chosen(
    choice: Literal["auto", "none", "required"] | ToolChoice | None, tools: tuple[ToolDefinition, ...]
) -> tuple[str, tuple[ToolDefinition, ...]]:
    """The canonical choice, and the tools it leaves."""
    match choice:
        case None | "auto" | "none":
            return choice or "auto", tools
        case "required":
            require(bool(tools), "tool_choice", "a tool is required but none is given in `tools`.")
            return "any", tools
        case ToolChoice(type="function" | "custom"):
            name = joined_name(choice.namespace, choice.name or "")
            known = any(tool.name == name for tool in tools)
            require(known, "tool_choice.name", f"{name!r} is not among `tools`.")
            return name, tools
        case ToolChoice(type="allowed_tools"):
            allowed = {joined_name(each.namespace, each.name or "") for each in choice.tools or ()}
            left = tuple(tool for tool in tools if tool.name in allowed)
            if choice.mode == "required":
                require(bool(left), "tool_choice.tools", "none of them is among `tools`.")
                return "any", left
            return "auto" if left else "none", left
        case ToolChoice():
            raise FieldFault(
                "tool_choice.type",
                f"{choice.type!r} runs at one provider only.",
                hint="Leave the choice out.",
            )
