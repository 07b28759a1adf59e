"""The configuration: read whole, checked whole, changed in place with the user's comments kept.

    config.toml ──parse──▶ Config + every fault with its line ──▶ in force, or the last good copy stays in force

`config.toml.good` is the last file that was in force. The schema itself is `kernel.settings_schema`.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast

import msgspec

from legion_core.kernel.config_check import Fault, check, value_fault
from legion_core.kernel.errors import Bug, ConfigError, Conflict, InvalidInput, NotFound
from legion_core.kernel.faults import fault
from legion_core.kernel.files import write_atomically
from legion_core.kernel.settings_schema import Config, Field, Instance, Model, SettingValue, fields
from legion_core.kernel.toml_lines import lines_of

SIZE_BYTES_MAX = 1 << 20
# The variables that stand above the file, and the leaf each of them sets.
ENVIRONMENT: Mapping[str, str] = {
    "LEGION_MODE": "mode",
    "LEGION_PORT": "server.port",
    "LEGION_AMQP_URL": "transport.amqp_url",
    "LEGION_LOG": "advanced.log_level",
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is in force, where it comes from, and what was wrong with the file or the environment."""

    config: Config
    origin: Literal["file", "good", "defaults"]
    faults: tuple[Fault, ...] = ()
    source_lines: Mapping[str, int] = field(default_factory=dict[str, int])  # of the file as it is now
    from_environment: Mapping[str, str] = field(
        default_factory=dict[str, str]
    )  # key → the variable that sets it

    def error(self) -> ConfigError | None:
        """All faults as one error, or None if there are none."""
        return _error(self.faults) if self.faults else None


def schema() -> tuple[Field, ...]:
    """Every leaf a person can set, in the order of the Settings page; instances are edited as a whole."""
    return fields(Config)


def parse(text: str) -> Config:
    """The configuration written in `text`; raises ConfigError with every fault at once."""
    config, faults, _ = _read(text)
    if faults:
        raise _error(faults)
    return config


def load(path: Path, env: Mapping[str, str], *, keep_good: bool = True) -> Loaded:
    """What is in force for this file and environment; never raises for what they hold. Blocks on the disk.

    A file with any fault is not used at all: the last good copy stays in force, or the defaults if there is
    none. With `keep_good`, a sound file becomes the last good copy.
    """
    try:
        text = _text_of(path)
    except ConfigError as error:
        found = Loaded(*_fallback(path), faults=(Fault("", error.message, error.hint),))
        return _with_environment(found, env)
    if text is None:
        return _with_environment(Loaded(Config(), "defaults"), env)
    config, faults, lines = _read(text)
    if not text.strip() and (good := _good_text(path)) and good.strip():
        faults = [Fault("", f"{path.name} is empty, but was not before.", f"A copy is {path.name}.good.")]
    if faults:
        return _with_environment(Loaded(*_fallback(path), faults=tuple(faults), source_lines=lines), env)
    if keep_good:
        _keep_good(path, text)
    return _with_environment(Loaded(config, "file", source_lines=lines), env)


def get_value(config: Config, key: str) -> SettingValue:
    """The value of the leaf `key`; raises NotFound with the nearest names."""
    find_field(key)
    value: object = config
    for name in key.split("."):
        value = getattr(value, name)
    return cast("SettingValue", value)


def find_field(key: str) -> Field:
    """The leaf of that key; raises NotFound with the nearest names."""
    for leaf in schema():
        if leaf.key == key:
            return leaf
    from difflib import get_close_matches

    near = get_close_matches(key, [leaf.key for leaf in schema()], n=3, cutoff=0.5)
    hint = (
        f"Near it: {', '.join(near)}." if near else "`legion config path` names the file; the keys are in it."
    )
    raise NotFound(f"There is no setting {key!r}.", hint=hint)


def from_words(key: str, words: str) -> SettingValue:
    """What a person typed, as a value for the leaf `key`; raises InvalidInput, NotFound."""
    leaf = find_field(key)
    text = words.strip()
    try:
        match leaf.type:
            case "bool":
                return {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}[
                    text.lower()
                ]
            case "int":
                return int(text)
            case "float":
                return float(text)
            case "list":
                return tuple(word.strip() for word in text.split(",") if word.strip())
            case _:
                return words
    except (KeyError, ValueError):
        wanted = {"bool": "true or false", "int": "a whole number"}.get(leaf.type, "a number")
        raise InvalidInput(f"{key} takes {wanted}, not {words!r}.") from None


def set_value(path: Path, key: str, value: SettingValue) -> Config:
    """Write one leaf into the file, keeping everything else in it; gives the configuration now written.

    Raises ConfigError with the faults if the file would not be sound (or is not now); it is then unchanged. A
    variable of the environment still stands above the file. Blocks on the disk.
    """
    leaf = find_field(key)
    wrong = value_fault(leaf, value)
    if wrong is not None:
        raise _error((Fault(key, *wrong),))

    def edit(text: str) -> str:
        from legion_core.kernel.config_edit import with_value

        after = with_value(text, key, value)
        if get_value(parse(after), key) != value:
            raise Bug(f"{key} cannot be written; {path.name} has an unusual form.")
        return after

    return _change(path, edit)


def reset_value(path: Path, key: str) -> Config:
    """Take one leaf out of the file, so that its default holds; see `set_value`."""
    find_field(key)

    def edit(text: str) -> str:
        from legion_core.kernel.config_edit import without_value

        return without_value(text, key)

    return _change(path, edit)


def add_instance(path: Path, instance: Instance) -> Config:
    """Write a provider instance into the file; raises Conflict if the name is taken, else as `set_value`."""

    def edit(text: str) -> str:
        from legion_core.kernel.config_edit import with_instance

        if any(known.name == instance.name for known in parse(text).gateway.instances):
            raise Conflict(
                f"There is a provider {instance.name!r} already.",
                hint="Choose another name, or remove it first.",
            )
        return with_instance(text, instance)

    return _change(path, edit)


def remove_instance(path: Path, name: str) -> Config:
    """Take a provider instance out of the file; raises NotFound if there is none, else as `set_value`."""

    def edit(text: str) -> str:
        from legion_core.kernel.config_edit import without_instance

        place, _ = _place_of(path, text, name)
        return without_instance(text, place)

    return _change(path, edit)


def describe_model(path: Path, instance: str, model: Model) -> Config:
    """Write what is said of a model at an instance; raises NotFound if there is no such instance, else as `set_value`.

    An instance that listed no models so far is still asked for its others.
    """

    def edit(text: str) -> str:
        from legion_core.kernel.config_edit import with_model

        place, known = _place_of(path, text, instance)
        after = with_model(text, place, model, discover=not known.models)
        if model not in parse(after).gateway.instances[place].models:
            raise Bug(f"{model.id} cannot be described; {path.name} has an unusual form.")
        return after

    return _change(path, edit)


def forget_model(path: Path, instance: str, model: str) -> Config:
    """Take out what is said of a model; raises as `describe_model`.

    Where only the listed models are offered its name stays, and it counts as one of which nothing is known.
    """

    def edit(text: str) -> str:
        from legion_core.kernel.config_edit import with_model, without_model

        place, known = _place_of(path, text, instance)
        if known.discover:
            return without_model(text, place, model)
        if model not in {each.id for each in known.models}:
            return text
        return with_model(text, place, Model(id=model), discover=False)

    return _change(path, edit)


def _place_of(path: Path, text: str, name: str) -> tuple[int, Instance]:
    for place, known in enumerate(parse(text).gateway.instances):
        if known.name == name:
            return place, known
    names = [known.name for known in parse(text).gateway.instances]
    raise NotFound(
        f"There is no provider {name!r} in {path.name}.", hint=f"Known: {', '.join(names) or 'none'}."
    )


def _read(text: str) -> tuple[Config, list[Fault], dict[str, int]]:
    """The configuration (the defaults if there are faults), every fault, and the lines of the keys."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return Config(), [_syntax_fault(text, error)], {}
    except (ValueError, RecursionError, OverflowError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        return (
            Config(),
            [Fault("", f"the file cannot be read: {why}.", "Mend it, or start from an empty one.")],
            {},
        )
    try:
        lines = lines_of(text)
        clean, faults = check(document)
        if faults:
            placed = [replace(each, line=_line_of(each.key, lines)) for each in faults]
            return Config(), sorted(placed, key=lambda each: each.line or 0), lines
        return msgspec.convert(clean, Config), [], lines
    except (msgspec.ValidationError, RecursionError) as error:
        return Config(), [Fault("", f"the file cannot be used: {error}.")], {}


def _syntax_fault(text: str, error: tomllib.TOMLDecodeError) -> Fault:
    message = str(error)
    what, _, where = message.rpartition(" (at ")
    if where.startswith("line "):
        line = int(where.removeprefix("line ").split(",")[0])
    else:
        what, line = what or message, text.count("\n") + 1
    return Fault("", f"this is not TOML: {what[:1].lower()}{what[1:]}.", "", line)


def _line_of(key: str, lines: Mapping[str, int]) -> int | None:
    """Its own line, or that of the nearest table around it."""
    while key:
        if key in lines:
            return lines[key]
        key = key.rpartition(".")[0]
    return None


def _error(faults: tuple[Fault, ...] | list[Fault]) -> ConfigError:
    shown = tuple(str(each) for each in faults)
    if len(faults) == 1:
        return ConfigError(f"The configuration has a fault: {shown[0]}", faults=shown)
    return ConfigError(
        f"The configuration has {len(faults)} faults; the first: {shown[0]}",
        hint="`legion config check` lists them all.",
        faults=shown,
    )


def _text_of(path: Path) -> str | None:
    """The file's text, None if there is no file; raises ConfigError if it cannot be read at all."""
    try:
        with path.open("rb") as stream:
            content = stream.read(SIZE_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror or error}.", hint="Check what it is and who may read it."
        ) from error
    if len(content) > SIZE_BYTES_MAX:
        raise ConfigError(
            f"{path} is larger than {SIZE_BYTES_MAX >> 20} MB.", hint="It cannot be a configuration."
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"Line {line} of {path} is not UTF-8 text.", hint="Save it as UTF-8.") from None


def _good_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.good")


def _good_text(path: Path) -> str | None:
    try:
        return _text_of(_good_path(path))
    except ConfigError:
        return None


def _fallback(path: Path) -> tuple[Config, Literal["good", "defaults"]]:
    good = _good_text(path)
    if good is not None:
        config, faults, _ = _read(good)
        if not faults:
            return config, "good"
    return Config(), "defaults"


def _keep_good(path: Path, text: str) -> None:
    if _good_text(path) == text:
        return
    try:
        write_atomically(_good_path(path), text.encode())
    except OSError:
        # A home that cannot be written (full, read-only) must not keep a sound configuration from being used.
        return


def _with_environment(found: Loaded, env: Mapping[str, str]) -> Loaded:
    """`found` with the variables laid over it; one that cannot be used is a fault and changes nothing."""
    config, faults, used = found.config, list(found.faults), dict[str, str]()
    for name, key in ENVIRONMENT.items():
        words = env.get(name, "")
        if not words:
            continue
        try:
            # The address may hold a password: the variable itself stays the only place where it is.
            value = f"env://{name}" if find_field(key).type == "secret" else from_words(key, words.strip())
        except InvalidInput as error:
            faults.append(Fault(name, error.message))
            continue
        wrong = value_fault(find_field(key), value)
        if wrong is not None:
            faults.append(Fault(name, *wrong))
            continue
        config = _replaced(config, key, value)
        used[key] = name
    return replace(found, config=config, faults=tuple(faults), from_environment=used)


def _replaced(config: Config, key: str, value: SettingValue) -> Config:
    first, _, rest = key.partition(".")
    if not rest:
        return msgspec.structs.replace(config, **{first: value})
    branch = msgspec.structs.replace(getattr(config, first), **{rest: value})
    return msgspec.structs.replace(config, **{first: branch})


def _change(path: Path, edit: Callable[[str], str]) -> Config:
    before = _text_of(path) or ""
    parse(before)  # a file that is broken already is mended by its owner, not written over
    after = edit(before)
    config = parse(after)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        fault("config.write")
        write_atomically(path.resolve(), after.encode())  # a link into somebody's dotfiles stays a link
    except OSError as error:
        raise ConfigError(
            f"{path} could not be written: {error.strerror or error}.",
            hint="Nothing was changed. Check the disk.",
        ) from error
    _keep_good(path, after)
    return config
