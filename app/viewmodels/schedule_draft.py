"""A schedule while it is written: what the form holds, and the specification it stands for. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

import msgspec

from app.viewmodels.schedule_phrase import understood
from legion_core.api.schedule_types import Missed, Overlap, ScheduleRow, ScheduleSpec

How = Literal["cron", "every", "words"]
UNITS: dict[str, int] = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400}
MISSED: tuple[tuple[Missed, str], ...] = (
    ("once", "Run once on wake"),
    ("skip", "Skip it"),
    ("all", "Run every missed one"),
)
OVERLAP: tuple[tuple[Overlap, str], ...] = (
    ("skip", "Leave this one out"),
    ("queue", "Begin when it ends"),
    ("cancel", "End the one before"),
    ("allow", "Run beside it"),
)


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a target, from its schema. `kind` is bool, choice, integer, number, text or json."""

    name: str
    kind: str
    about: str = ""
    is_required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """The form's fields. `args` holds what was typed, by name; an empty one is left to the function's default."""

    name: str = ""
    target: str = ""
    how: How = "cron"
    cron: str = "0 9 * * 1-5"
    every: float = 15
    unit: str = "minutes"
    words: str = ""
    zone: str = "UTC"
    missed: Missed = "once"
    overlap: Overlap = "skip"
    jitter_s: float = 0.0
    args: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def timing(self) -> tuple[str, float]:
        """`(cron, every_s)`; both empty where the words are not understood."""
        match self.how:
            case "cron":
                return self.cron.strip(), 0.0
            case "every":
                return "", self.every * UNITS[self.unit]
            case "words":
                found = understood(self.words)
                return (found.cron, found.every_s) if found else ("", 0.0)

    @property
    def fault(self) -> str:
        """What is missing before it can be saved, as a sentence; empty where nothing is."""
        if not self.name.strip():
            return "Give it a name."
        if not self.target:
            return "Choose what it runs."
        if self.timing == ("", 0.0):
            return (
                "Say when."
                if self.how != "words" or not self.words.strip()
                else "These words are not understood."
            )
        return ""


def draft_of(row: ScheduleRow, arguments: tuple[Argument, ...] = ()) -> Draft:
    """The form for a schedule there is."""
    every, unit = unit_of(row.every_s) if row.every_s else (15.0, "minutes")
    kinds = {argument.name: argument.kind for argument in arguments}
    return Draft(
        name=row.name, target=row.target, how="every" if row.every_s else "cron", cron=row.cron or "0 9 * * 1-5",
        every=every, unit=unit, zone=row.zone, missed=row.missed, overlap=row.overlap, jitter_s=row.jitter_s,
        args={name: typed_of(value, kinds.get(name, "")) for name, value in row.args.items()},
    )  # fmt: skip


def spec_of(draft: Draft, arguments: tuple[Argument, ...]) -> ScheduleSpec:
    """The specification; ValueError with a sentence where an argument cannot be read."""
    cron, every_s = draft.timing
    return ScheduleSpec(
        name=draft.name.strip(), target=draft.target, args=args_of(draft.args, arguments), cron=cron, zone=draft.zone,
        every_s=every_s, missed=draft.missed, overlap=draft.overlap, jitter_s=draft.jitter_s,
    )  # fmt: skip


def spec_of_row(row: ScheduleRow) -> ScheduleSpec:
    """The specification a schedule was made of, to make it again."""
    return ScheduleSpec(
        name=row.name, target=row.target, args=row.args, cron=row.cron, zone=row.zone, every_s=row.every_s,
        missed=row.missed, missed_max=row.missed_max, overlap=row.overlap, jitter_s=row.jitter_s,
    )  # fmt: skip


def arguments_of(schema: Mapping[str, Any]) -> tuple[Argument, ...]:
    """The arguments of a function by its JSON schema, the required ones first."""
    properties = cast("Mapping[str, Mapping[str, Any]]", schema.get("properties", {}))
    required = set(cast("list[str]", schema.get("required", [])))
    made = [_argument(name, told, name in required) for name, told in properties.items()]
    return tuple(sorted(made, key=lambda each: not each.is_required))


def args_of(typed: Mapping[str, str], arguments: tuple[Argument, ...]) -> dict[str, Any]:
    """What was typed as values; ValueError names the first that does not fit."""
    kinds = {argument.name: argument for argument in arguments}
    found: dict[str, Any] = {}
    for name, text in typed.items():
        if text == "" and (name not in kinds or not kinds[name].is_required):
            continue
        found[name] = _value(kinds.get(name, Argument(name, "json")), text)
    for argument in arguments:
        if argument.is_required and argument.name not in found:
            raise ValueError(f"{argument.name} is needed.")
    return found


def typed_of(value: object, kind: str = "") -> str:
    """A value as a person would type it."""
    if isinstance(value, str) and kind in ("", "text", "choice"):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return msgspec.json.encode(value).decode()


def unit_of(seconds: float) -> tuple[float, str]:
    """`(2, "hours")` of 7200."""
    for unit in ("days", "hours", "minutes"):
        if seconds >= UNITS[unit] and seconds % UNITS[unit] == 0:
            return seconds / UNITS[unit], unit
    return seconds, "seconds"


def renamed(draft: Draft, taken: frozenset[str]) -> Draft:
    """The same under a name that is free."""
    number = 2
    while f"{draft.name}-{number}" in taken:
        number += 1
    return replace(draft, name=f"{draft.name}-{number}")


def _argument(name: str, told: Mapping[str, Any], is_required: bool) -> Argument:
    about = str(told.get("description", ""))
    default = told.get("default")
    if choices := told.get("enum"):
        return Argument(name, "choice", about, is_required, default, tuple(str(choice) for choice in choices))
    options = cast("list[Mapping[str, Any]]", told.get("anyOf", [told]))
    kinds = [str(option.get("type", "")) for option in options if option.get("type") != "null"]
    kind = {"boolean": "bool", "integer": "integer", "number": "number", "string": "text"}.get(
        kinds[0] if len(kinds) == 1 else "", "json"
    )
    return Argument(name, kind, about, is_required, default)


def _value(argument: Argument, text: str) -> Any:
    try:
        match argument.kind:
            case "bool":
                return text == "true"
            case "integer":
                return int(text)
            case "number":
                return float(text)
            case "text" | "choice":
                return text
            case _:
                return _json(text)
    except ValueError as error:
        kinds = {"integer": "a whole number", "number": "a number"}
        raise ValueError(f"{argument.name} is {kinds.get(argument.kind, 'no value of JSON')}.".replace(
            " is a ", " must be a ")) from error  # fmt: skip


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        if text[:1] in '[{"':
            raise ValueError from None
        return text  # a word without quotes is meant as it stands
