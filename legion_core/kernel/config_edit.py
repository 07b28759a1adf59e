"""Edits of a configuration's text that leave everything else in it, comments included, as it was."""

from typing import Any, cast

import msgspec

from legion_core.kernel.settings_schema import Instance, Model, SettingValue


def with_value(text: str, key: str, value: SettingValue) -> str:
    """`text` with the leaf set; tables are made where they are missing."""
    import tomlkit

    document = tomlkit.parse(text)
    *tables, name = key.split(".")
    table: Any = document
    for part in tables:
        if part not in table:
            table[part] = tomlkit.table()
        table = table[part]
    table[name] = list(value) if isinstance(value, tuple) else value
    return _dumps(document, text)


def without_value(text: str, key: str) -> str:
    """`text` without the leaf; harmless if it is not there."""
    import tomlkit

    document = tomlkit.parse(text)
    *tables, name = key.split(".")
    table: Any = document
    for part in tables:
        if part not in table:
            return text
        table = table[part]
    if name in table:
        del table[name]
    return tomlkit.dumps(document)


def with_instance(text: str, instance: Instance) -> str:
    """`text` with the instance as the last of `gateway.instances`, defaults left out."""
    import tomlkit

    document: Any = tomlkit.parse(text)
    if "gateway" not in document:
        document["gateway"] = tomlkit.table(is_super_table=True)
    gateway = document["gateway"]
    plain = _sparse(instance)
    existing = gateway.get("instances")
    if existing is not None and type(existing).__name__ != "AoT":
        existing.append(plain)  # written inline, as [{…}, {…}]
        return _dumps(document, text)
    models = plain.pop("models", [])
    table = tomlkit.table()
    for name, value in plain.items():
        table[name] = value
    if models:
        listed: Any = tomlkit.aot()
        for model in models:
            listed.append(_table(model))
        table["models"] = listed
    if existing is None:
        gateway["instances"] = tomlkit.aot()
    gateway["instances"].append(table)
    return _dumps(document, text)


def with_model(text: str, place: int, model: Model, *, discover: bool) -> str:
    """`text` with what is said of a model at the instance at `place`, instead of what was said of it before."""
    import tomlkit

    document: Any = tomlkit.parse(text)
    instance = document["gateway"]["instances"][place]
    if discover:
        instance["discover"] = True
    models = instance.get("models")
    if models is None:
        is_line = type(instance).__name__ == "InlineTable"
        instance["models"] = tomlkit.array() if is_line else tomlkit.aot()
        models = instance["models"]
    is_inline = type(models).__name__ != "AoT"
    plain = _sparse(model)
    for known in models:
        if known["id"] == model.id:
            for name in [name for name in known if name not in plain]:
                del known[name]
            for name, value in (plain if is_inline else _table(plain)).items():
                if known.get(name) != value:
                    known[name] = value
            return tomlkit.dumps(document)
    models.append(plain if is_inline else _table(plain))
    return tomlkit.dumps(document)


def without_model(text: str, place: int, model: str) -> str:
    """`text` without what is said of a model at the instance at `place`; harmless if nothing is."""
    import tomlkit

    document: Any = tomlkit.parse(text)
    instance = document["gateway"]["instances"][place]
    models: Any = instance.get("models", [])
    at = next((at for at, known in enumerate(models) if known["id"] == model), None)
    if at is None:
        return text
    del models[at]
    if not models:
        del instance["models"]
    return tomlkit.dumps(document)


def without_instance(text: str, place: int) -> str:
    """`text` without the instance at `place`."""
    import tomlkit

    document: Any = tomlkit.parse(text)
    del document["gateway"]["instances"][place]
    return tomlkit.dumps(document)


def _dumps(document: Any, before: str) -> str:
    """A new table is set off by a blank line; in a file that was empty nothing stands above it."""
    import tomlkit

    text = tomlkit.dumps(document)
    return text if before.strip() else text.lstrip("\n")


def _table(model: dict[str, Any]) -> Any:
    import tomlkit

    table = tomlkit.table()
    for name, value in model.items():
        if isinstance(value, dict):
            inline = tomlkit.inline_table()
            for part, amount in cast("dict[str, Any]", value).items():
                inline[part] = amount
            table[name] = inline
        else:
            table[name] = value
    return table


def _sparse(part: msgspec.Struct) -> dict[str, Any]:
    """What differs from the defaults, as plain data: what a person would have written."""
    sparse: dict[str, Any] = {}
    for each in msgspec.structs.fields(part):
        value = getattr(part, each.name)
        if not each.required and value == each.default:
            continue
        if isinstance(value, msgspec.Struct):
            sparse[each.name] = _sparse(value)
        elif isinstance(value, tuple):
            items = cast("tuple[object, ...]", value)
            sparse[each.name] = [
                _sparse(item) if isinstance(item, msgspec.Struct) else item for item in items
            ]
        else:
            sparse[each.name] = value
    return sparse
