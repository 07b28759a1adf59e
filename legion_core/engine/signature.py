"""What a function takes, read from its own signature and docstring: a JSON schema, and a check of arguments."""

import copy
import inspect
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_origin

import msgspec

from legion_core.engine.extension import Context
from legion_core.kernel.errors import InvalidInput

_ARGUMENT = re.compile(r"^\s*`?(\w+)`?(?:\s*\([^)]*\))?\s*:\s+(\S.*)$")
_SECTION = re.compile(r"^\s*(Args|Arguments|Parameters):\s*$")
_OTHER_SECTION = re.compile(r"^\s*(Returns|Raises|Yields|Example|Examples|Note|Notes):\s*$")


class Unusable(Exception):
    """A function that cannot be a task's; the message says why."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The arguments of one function. `context` names the parameter that takes the Context, empty if none does."""

    arguments: type[msgspec.Struct]
    names: tuple[str, ...]
    context: str
    is_async: bool
    description: str
    schema: dict[str, Any]

    def check(self, args: Mapping[str, Any]) -> bytes:
        """The arguments as the JSON that is stored; InvalidInput names the one that does not fit."""
        try:
            return msgspec.json.encode(msgspec.convert(args, self.arguments))
        except msgspec.ValidationError as error:
            raise InvalidInput(f"The arguments do not fit: {error}.", hint=self.usage()) from error
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidInput(f"The arguments cannot be written as JSON: {error}.") from error

    def read(self, stored: bytes) -> dict[str, Any]:
        """Stored arguments as keywords for the call; InvalidInput if the function has changed since."""
        try:
            found = msgspec.json.decode(stored, type=self.arguments)
        except msgspec.DecodeError as error:
            raise InvalidInput(f"The stored arguments do not fit: {error}.", hint=self.usage()) from error
        return {name: getattr(found, name) for name in self.names}

    def usage(self) -> str:
        """Which arguments there are, as a sentence."""
        if not self.names:
            return "It takes no arguments."
        required = set(self.schema["required"])
        words = ", ".join(name if name in required else f"[{name}]" for name in self.names)
        return f"It takes {words}."


def read_signature(call: Callable[..., Any]) -> Signature:
    """What `call` takes; raises Unusable with the reason if it cannot be called with a JSON object."""
    try:
        hints = typing.get_type_hints(call, include_extras=True)
        parameters = inspect.signature(call).parameters
    except (NameError, TypeError, ValueError) as error:
        raise Unusable(f"its signature cannot be read: {error}") from error
    summary, told = _documented(inspect.getdoc(call) or "")
    context, fields = "", list[tuple[str, Any, Any]]()
    for name, parameter in parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise Unusable(f"`{name}` cannot be given by name")
        hint = hints.get(name, Any)
        if hint is Context or (name == "context" and hint is Any):
            context = name
            continue
        if name in told and get_origin(hint) is not Annotated:
            hint = Annotated[hint, msgspec.Meta(description=told[name])]
        fields.append((name, hint, _default(parameter)))
    try:
        # Required ones need not come first: they are given by name.
        struct = msgspec.defstruct(
            getattr(call, "__name__", "arguments"),
            [(name, hint) if field is None else (name, hint, field) for name, hint, field in fields],
            kw_only=True,
            frozen=True,
            forbid_unknown_fields=True,
        )
        schema = _schema(struct)
    except (TypeError, ValueError) as error:
        raise Unusable(f"its arguments cannot be described: {error}") from error
    return Signature(
        arguments=struct,
        names=tuple(name for name, _, _ in fields),
        context=context,
        is_async=inspect.iscoroutinefunction(call),
        description=summary,
        schema=schema,
    )


def _default(parameter: inspect.Parameter) -> Any:
    """The default as a msgspec field; None where the argument must be given."""
    value: Any = parameter.default
    if value is parameter.empty:
        return None
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return msgspec.field(default=value)
    return msgspec.field(default_factory=lambda: copy.copy(value))


def _schema(struct: type[msgspec.Struct]) -> dict[str, Any]:
    (reference,), components = msgspec.json.schema_components([struct], ref_template="#/$defs/{name}")
    name = str(reference["$ref"]).rpartition("/")[2]
    schema = dict(components.pop(name))
    schema.setdefault("required", [])
    if components:
        schema["$defs"] = components
    return schema


def _documented(text: str) -> tuple[str, dict[str, str]]:
    """The description, and what is said of each argument: under `Args:`, or as `name: words` lines of their own."""
    body, told, is_in_section, indent = list[str](), dict[str, str](), False, 0
    last = ""
    for line in text.splitlines():
        if _SECTION.match(line):
            is_in_section, last = True, ""
        elif _OTHER_SECTION.match(line):
            is_in_section = False
            body.append(line)
        elif not is_in_section:
            body.append(line)
        elif match := _ARGUMENT.match(line):
            depth = len(line) - len(line.lstrip())
            if last and depth > indent:
                told[last] += f" {line.strip()}"
                continue
            last, indent = match.group(1), depth
            told[last] = match.group(2).strip()
        elif last and line.strip():
            told[last] += f" {line.strip()}"
    return "\n".join(body).strip(), told
