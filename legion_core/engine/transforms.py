"""Pure: what a task is called with: its arguments and its transform, rendered over what came before.

    document ──compiled──▶ Transform ──render(payload)──▶ Rendered: the arguments, or the reason why not,
                                                          or a question for a model (engine `llm`)

Strings inside a mapping are rendered one by one and stay strings: nothing that is rendered is ever parsed again.
What is not an object in the end becomes `{"value": …}`. See `docs/transforms.md`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

import msgspec

from legion_core.engine.facts import MISSING, getter, segments
from legion_core.engine.json_path import JsonPath, PathFault
from legion_core.engine.json_path import path as json_path
from legion_core.engine.json_value import json_fault
from legion_core.engine.liquid import Template
from legion_core.engine.liquid import parsed as liquid
from legion_core.engine.liquid_frame import STEPS_MAX, TooLarge, TooLong
from legion_core.engine.liquid_tokens import LiquidFault
from legion_core.engine.reasons import because
from legion_core.engine.refusal import FAULTS_MAX, InvalidDocument, nearest, shown
from legion_core.engine.types import Reason
from legion_core.kernel.config_check import Fault

OUTPUT_BYTES_MAX = 1 << 20
TEMPLATES_MAX = 500
DEPTH_MAX = 16
RETRIES_MAX = 5

EngineWord = Literal["liquid", "jsonpath", "static", "llm"]
TypeWord = Literal["string", "number", "integer", "boolean", "array", "object", "null"]
ENGINES: tuple[EngineWord, ...] = get_args(EngineWord)
TYPES: tuple[TypeWord, ...] = get_args(TypeWord)
_KEYS = ("engine", "template", "schema", "options")
_OPTIONS = ("model", "tier", "instance", "system", "temperature", "retries")
_INSIST = "Answer with one JSON object and nothing else."

Part = Callable[[Mapping[str, object]], object]


class ModelAsk(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask a model: the caller asks, and gives the answer to `Transform.answered`.

    `model`, `tier` and `instance` pin the route where given; `retries` is how often an answer that does not fit is
    asked for again, by `again`.
    """

    prompt: str
    system: str = ""
    model: str = ""
    tier: str = ""
    instance: str = ""
    temperature: float | None = None
    retries: int = 1  # seed: max_retries
    is_structured: bool = False

    def again(self, why: str) -> "ModelAsk":
        """The same question, saying what was wrong with the answer."""
        return msgspec.structs.replace(
            self, prompt=f"{self.prompt}\n\nThe last answer could not be used: {why} {_INSIST}"
        )


@dataclass(frozen=True, slots=True)
class Rendered:
    """What came of a transform: exactly one of the three."""

    args: Mapping[str, object] | None = None
    ask: ModelAsk | None = None
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Schema:
    """What the arguments must hold: keys by their path, and what type stands there."""

    required_keys: tuple[str, ...]
    types: tuple[tuple[str, TypeWord], ...]

    def fault(self, value: object) -> str:
        """What does not fit, as a sentence; empty if all does."""
        for key in self.required_keys:
            if getter(segments(key))(value) is MISSING:
                return f"{key} is missing."
        for key, word in self.types:
            found = getter(segments(key))(value)
            if found is not MISSING and not _is_type(found, word):
                return f"{key} is {shown(found)}, not of the type {word}."
        return ""


@dataclass(frozen=True, slots=True)
class Transform:
    """A transform ready to be rendered. `paths` are the names it reads, as far as they are written out."""

    engine: EngineWord
    paths: frozenset[tuple[str, ...]]
    schema: Schema | None
    ask: ModelAsk | None
    _part: Part

    def render(self, payload: Mapping[str, object], args: Mapping[str, object] | None = None) -> Rendered:
        """The arguments for this payload of plain JSON, laid over `args`; never raises for what they hold."""
        try:
            value = self._part(payload)
        except TooLong as error:
            return Rendered(reason=because("transform.too_long", limit_steps=STEPS_MAX, what=error.message))
        except TooLarge as error:
            return Rendered(
                reason=because("transform.too_large", limit_bytes=OUTPUT_BYTES_MAX, what=error.message)
            )
        except _NothingFoundError as error:
            return Rendered(reason=because("transform.nothing_found", path=str(error)))
        except (LiquidFault, PathFault) as error:
            return Rendered(reason=because("transform.failed", what=str(error)))
        if self.ask is not None:
            return Rendered(ask=msgspec.structs.replace(self.ask, prompt=cast("str", value)))
        return self._finished(value, args or {})

    def answered(self, answer: str, args: Mapping[str, object] | None = None) -> Rendered:
        """The arguments made of a model's answer, laid over `args`.

        With a schema the answer is one JSON object, in a fence or not; without one it is text and becomes `value`.
        """
        if self.schema is None:
            return self._finished(answer, args or {})
        try:
            value: object = msgspec.json.decode(_without_fence(answer))
        except (msgspec.DecodeError, RecursionError, ValueError):
            return Rendered(reason=because("transform.model_failed", what="it is not JSON."))
        if not isinstance(value, dict):
            return Rendered(reason=because("transform.model_failed", what="it is not a JSON object."))
        made = self._finished(value, args or {})  # pyright: ignore[reportUnknownArgumentType]
        if made.reason is not None and made.reason.code == "transform.schema":
            return Rendered(reason=because("transform.model_failed", what=str(made.reason.facts["what"])))
        return made

    def _finished(self, value: object, args: Mapping[str, object]) -> Rendered:
        if wrong := json_fault(value, chars_max=OUTPUT_BYTES_MAX):
            is_large = wrong.startswith(("its texts", "it holds more"))
            code = "transform.too_large" if is_large else "transform.not_json"
            return Rendered(reason=because(code, what=wrong, limit_bytes=OUTPUT_BYTES_MAX))
        own = cast("dict[str, object]", value) if isinstance(value, dict) else {"value": value}
        if self.schema is not None and (wrong := self.schema.fault(own)):
            return Rendered(reason=because("transform.schema", what=wrong))
        whole = {**args, **own}
        if len(msgspec.json.encode(whole)) > OUTPUT_BYTES_MAX:
            return Rendered(reason=because("transform.too_large", limit_bytes=OUTPUT_BYTES_MAX))
        return Rendered(args=whole)


def compiled(document: object, where: str = "transform") -> Transform:
    """The transform ready to be rendered; raises InvalidDocument with every fault in it."""
    reader = _Reader()
    made = reader.transform(document, where)
    if reader.faults or made is None:
        raise InvalidDocument("The transform", reader.faults)
    return made


def arguments(document: object, where: str = "args") -> Transform:
    """A node's arguments, an object whose texts are Liquid; raises InvalidDocument."""
    reader = _Reader()
    if not isinstance(document, dict):
        reader.fault(where, f"expected an object, found {shown(document)}.")
        raise InvalidDocument("The arguments", reader.faults)
    part = reader.part("liquid", cast("object", document), where)
    if reader.faults:
        raise InvalidDocument("The arguments", reader.faults)
    return Transform("liquid", frozenset(reader.paths), None, None, part)


class _NothingFoundError(ValueError):
    """A path that names one place found nothing there."""


class _Reader:
    """Reads a transform document; depth and number of templates are bounded."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.paths: set[tuple[str, ...]] = set()
        self._templates = 0

    def transform(self, document: object, where: str) -> Transform | None:
        if not isinstance(document, dict):
            return self.fault(
                where,
                f"expected an object, found {shown(document)}.",
                "Write {engine: liquid, template: …}.",
            )
        keys = cast("dict[object, object]", document)
        for key in keys:
            if key not in _KEYS:
                self.fault(f"{where}.{key}", "there is no such part of a transform.", nearest(key, _KEYS))
        engine = keys.get("engine", "liquid")
        if engine not in ENGINES:
            return self.fault(
                f"{where}.engine", f"there is no engine {shown(engine)}.", nearest(engine, ENGINES)
            )
        if "template" not in keys:
            return self.fault(f"{where}.template", "the template is missing.")
        word = engine
        schema = self._schema(keys.get("schema"), f"{where}.schema")
        ask = self._ask(keys, where, schema) if word == "llm" else None
        if word != "llm" and "options" in keys:
            self.fault(f"{where}.options", "belong to the engine llm only.")
        part = self.part(word, keys["template"], f"{where}.template")
        return None if self.faults else Transform(word, frozenset(self.paths), schema, ask, part)

    def part(self, engine: EngineWord, template: object, where: str, depth: int = 1) -> Part:
        """What renders one value of a template; texts by the engine, the rest as it stands."""
        if depth > DEPTH_MAX:
            self.fault(where, f"is nested deeper than {DEPTH_MAX} levels.")
        elif engine == "static":
            if wrong := json_fault(template, depth_max=DEPTH_MAX, chars_max=OUTPUT_BYTES_MAX):
                self.fault(where, f"{wrong}.")
            return _constant(template)
        elif isinstance(template, str):
            return self._text(engine, template, where)
        elif engine == "llm":
            self.fault(where, f"expected the text of a question, found {shown(template)}.")
        elif isinstance(template, dict):
            return self._object(engine, cast("dict[object, object]", template), where, depth)
        elif isinstance(template, list):
            members = cast("list[object]", template)
            if len(members) > TEMPLATES_MAX:
                self.fault(where, f"has {len(members)} members; at most {TEMPLATES_MAX} are taken.")
                return _constant(None)
            return _list(
                [self.part(engine, each, f"{where}[{at}]", depth + 1) for at, each in enumerate(members)]
            )
        elif wrong := json_fault(template):
            self.fault(where, f"{wrong}.")
        return _constant(template)

    def _object(self, engine: EngineWord, found: dict[object, object], where: str, depth: int) -> Part:
        parts: dict[str, Part] = {}
        if len(found) > TEMPLATES_MAX:
            self.fault(where, f"has {len(found)} names; at most {TEMPLATES_MAX} are taken.")
            return _constant(None)
        for name, each in found.items():
            if not isinstance(name, str):
                self.fault(where, f"the name {shown(name)} is not text.", "Put it between quotes.")
            else:
                parts[name] = self.part(engine, each, f"{where}.{name}", depth + 1)
        return _mapping(parts)

    def _text(self, engine: EngineWord, text: str, where: str) -> Part:
        self._templates += 1
        if self._templates > TEMPLATES_MAX:
            if self._templates == TEMPLATES_MAX + 1:
                self.fault(where, f"there are more than {TEMPLATES_MAX} templates.")
            return _constant(text)
        try:
            if engine == "jsonpath":
                found = json_path(text)
                self.paths.update(_roots(text))
                return _selected(found)
            if "{{" not in text and "{%" not in text and len(text) <= OUTPUT_BYTES_MAX:
                return _constant(text)
            template = liquid(text)
        except (LiquidFault, PathFault) as error:
            self.fault(where, str(error))
            return _constant(text)
        self.paths.update(template.paths)
        return _filled(template)

    def _schema(self, document: object, where: str) -> Schema | None:
        if document is None:
            return None
        if not isinstance(document, dict):
            return self.fault(where, f"expected an object, found {shown(document)}.")
        keys = cast("dict[object, object]", document)
        for key in keys:
            if key not in ("required_keys", "types"):
                self.fault(
                    f"{where}.{key}", "there is no such part.", nearest(key, ("required_keys", "types"))
                )
        required = keys.get("required_keys", [])
        types = keys.get("types", {})
        if not isinstance(required, list) or not isinstance(types, dict):
            return self.fault(where, "required_keys is a list of names, types an object.")
        names = [
            name for name in cast("list[object]", required) if self._is_path(name, f"{where}.required_keys")
        ]
        words: list[tuple[str, TypeWord]] = []
        for name, word in cast("dict[object, object]", types).items():
            if not self._is_path(name, f"{where}.types"):
                continue
            if word not in TYPES:
                self.fault(f"{where}.types.{name}", f"there is no type {shown(word)}.", nearest(word, TYPES))
                continue
            words.append((cast("str", name), word))
        return Schema(tuple(cast("list[str]", names)), tuple(words))

    def _is_path(self, name: object, where: str) -> bool:
        if not isinstance(name, str):
            self.fault(where, f"{shown(name)} is not a name.")
            return False
        try:
            segments(name)
        except ValueError as error:
            self.fault(where, str(error))
            return False
        return True

    def _ask(self, keys: dict[object, object], where: str, schema: Schema | None) -> ModelAsk | None:
        options = keys.get("options", {})
        if not isinstance(options, dict):
            return self.fault(f"{where}.options", f"expected an object, found {shown(options)}.")
        found = cast("dict[object, object]", options)
        for key in found:
            if key not in _OPTIONS:
                self.fault(f"{where}.options.{key}", "there is no such option.", nearest(key, _OPTIONS))
        try:
            ask = msgspec.convert({**found, "prompt": "", "is_structured": schema is not None}, ModelAsk)
        except msgspec.ValidationError as error:
            return self.fault(f"{where}.options", f"{error}.")
        if not 0 <= ask.retries <= RETRIES_MAX:
            self.fault(f"{where}.options.retries", f"must be between 0 and {RETRIES_MAX}.")
        if ask.temperature is not None and not 0 <= ask.temperature <= 2:
            self.fault(f"{where}.options.temperature", "must be between 0 and 2.")
        return ask

    def fault(self, where: str, message: str, hint: str = "") -> None:
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(Fault(where[-200:], message, hint))


def _constant(value: object) -> Part:
    return lambda _: value


def _filled(template: Template) -> Part:
    return template.render


def _selected(path: JsonPath) -> Part:
    """One value where the path names one place, else the list of all it finds."""

    def select(payload: Mapping[str, object]) -> object:
        found = path.find(payload)
        if not path.is_single:
            return found
        if not found:
            raise _NothingFoundError(path.text)
        return found[0]

    return select


def _mapping(parts: dict[str, Part]) -> Part:
    def render(payload: Mapping[str, object]) -> object:
        made: dict[str, object] = {}
        size = 0
        for name, part in parts.items():
            value = made[name] = part(payload)
            size += len(value) if isinstance(value, str) else 0
            if size > OUTPUT_BYTES_MAX:
                raise TooLarge(f"it gives more than {OUTPUT_BYTES_MAX} characters.")
        return made

    return render


def _list(parts: list[Part]) -> Part:
    def render(payload: Mapping[str, object]) -> object:
        made: list[object] = []
        size = 0
        for part in parts:
            value = part(payload)
            size += len(value) if isinstance(value, str) else 0
            if size > OUTPUT_BYTES_MAX:
                raise TooLarge(f"it gives more than {OUTPUT_BYTES_MAX} characters.")
            made.append(value)
        return made

    return render


def _roots(text: str) -> set[tuple[str, ...]]:
    """The first names of a JSONPath, for the check of what a chain has: `$.results.get` gives `results.get`."""
    match = re.match(
        r"""\$(?:\.(\w[\w-]*)|\[["']([^"'\]]+)["']\])(?:\.(\w[\w-]*)|\[["']([^"'\]]+)["']\])?""", text
    )
    return {tuple(part for part in match.groups() if part)} if match else set()


def _is_type(value: object, word: TypeWord) -> bool:
    match word:
        case "string":
            return isinstance(value, str)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
        case "null":
            return value is None


def _without_fence(answer: str) -> str:
    text = answer.strip()
    if text.startswith("```") and text.endswith("```") and "\n" in text:
        return text[text.index("\n") + 1 : -3].strip()
    return text
