"""What a surface or the window sees of extensions. Cheap to import."""

from typing import Any, Literal

import msgspec

from legion_core.engine.actor_types import ActorRow
from legion_core.engine.types import EffectClass


class FunctionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A function that can be run: its name, what it says of itself, and its arguments as a JSON schema."""

    name: str
    description: str
    arguments: dict[str, Any]
    effect: EffectClass
    timeout_s: float
    retries: int
    runs_in: Literal["loop", "thread", "cpu"]
    risk: Literal["", "read", "write", "danger"] = ""


class ExtensionRow(msgspec.Struct, frozen=True, kw_only=True):
    """An extension; `problem` says why some or all of it cannot be used, `actors` what of it runs by itself."""

    name: str
    origin: Literal["builtin", "installed", "folder"]
    path: str = ""
    version: str = ""
    description: str = ""
    problem: str = ""
    functions: tuple[FunctionRow, ...] = ()
    actors: tuple[ActorRow, ...] = ()


class Created(msgspec.Struct, frozen=True, kw_only=True):
    """A new extension: where it lies and what can be run at once."""

    path: str
    functions: tuple[str, ...]
