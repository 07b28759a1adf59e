"""Errors by their public code, and how a person and a program are told of one."""

import msgspec

from legion_core.kernel.errors import ConfigError, InvalidInput, LegionError

# What the OpenAI dialect calls some of them, for the sake of its own clients.
_ALIASES = {"model_not_found": "not_found", "invalid_api_key": "denied"} | {
    "content_filter": "filtered",
    "rate_limit_exceeded": "rate_limited",
}


class FaultShape(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error in `--json`, the same as over HTTP."""

    code: str
    message: str
    hint: str = ""
    faults: tuple[str, ...] = ()


def kind_of(code: str) -> type[LegionError]:
    """The class with this public code; LegionError if none has it."""
    code = _ALIASES.get(code, code)
    waiting: list[type[LegionError]] = [LegionError]
    while waiting:
        kind = waiting.pop(0)
        if kind.public_code == code:
            return kind
        waiting.extend(kind.__subclasses__())
    return LegionError


def shape_of(error: LegionError) -> FaultShape:
    """For a program."""
    faults = _faults(error)
    return FaultShape(code=error.public_code, message=error.message, hint=error.hint, faults=faults)


def words_of(error: LegionError) -> str:
    """For a person: what and why, what to do, and every fault of a document on its own line."""
    faults = _faults(error)
    if len(faults) < 2:
        faults = ()
    return "\n".join((error.sentence(), *(f"  {line}" for line in faults)))


def _faults(error: LegionError) -> tuple[str, ...]:
    return tuple(map(str, error.faults)) if isinstance(error, ConfigError | InvalidInput) else ()
