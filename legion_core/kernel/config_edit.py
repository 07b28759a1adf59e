"""Edits of a configuration's text that leave everything else in it, comments included, as it was."""

from typing import Any, cast

import msgspec

from legion_core.kernel.settings_schema import Instance, SettingValue


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
    return tomlkit.dumps(document)


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
        return tomlkit.dumps(document)
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
    return tomlkit.dumps(document)


def without_instance(text: str, place: int) -> str:
    """`text` without the instance at `place`."""
    import tomlkit

    document: Any = tomlkit.parse(text)
    del document["gateway"]["instances"][place]
    return tomlkit.dumps(document)


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
