"""`legion config …` and `legion secret …`."""

import argparse

from legion_core.api.types import SettingRow
from legion_core.kernel.errors import ConfigError
from legion_core.surfaces.cli.outcome import Actions, Outcome, Setting
from legion_core.surfaces.cli.secrets import read_secret


def get(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`config get`."""
    row = setting.backend.setting(args.key)
    return Outcome(row, _value(row))


def change(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`config set`."""
    row = setting.backend.set_setting(args.key, args.value)
    later = " It holds from the next start on." if row.needs_restart else ""
    return Outcome(row, f"{row.key} is {_value(row) or 'empty'}.{later}")


def _value(row: SettingRow) -> str:
    value = row.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType]
    return "" if value is None else str(value)


def check(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`config check`: exit status 1 if the file has a fault. It reads the file itself, and a running node takes it on."""
    from legion_core.kernel.config import load
    from legion_core.surfaces.cli.connect import running

    path = setting.home.config_path
    loaded = load(path, setting.env, keep_good=False)
    if loaded.faults:
        faults = tuple(str(fault) for fault in loaded.faults)
        number = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise ConfigError(
            f"{path} has {number}: {faults[0]}" if len(faults) == 1 else f"{path} has {number}.",
            hint="Until it is mended the last good configuration stays in force.",
            faults=faults,
        )
    there = "has no fault" if path.exists() else "does not exist, so everything is at its default"
    node = running(setting.home, setting.env)
    if node is not None:
        try:
            node.config_faults()  # it looks at the file as it does
        finally:
            node.close()
    told = " What it says is in force." if node is not None else ""
    return Outcome(
        {"path": str(path), "faults": (), "is_in_force": node is not None}, f"{path} {there}.{told}"
    )


def path(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`config path`."""
    where = setting.home.config_path
    return Outcome({"path": str(where)}, str(where))


def set_secret(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`secret set`."""
    setting.backend.set_secret(args.name, read_secret(f"Value of {args.name}: "))
    reference = f"keyring://{args.name}"
    return Outcome(
        {"name": args.name, "reference": reference}, f"Kept. Write {reference} where it is needed."
    )


def list_secrets(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`secret list`."""
    backend, names = setting.backend.secrets()
    places = {
        "keyring": "in the system's keyring",
        "file": "in the encrypted file",
        "locked": "in the encrypted file, which is locked: set LEGION_PASSPHRASE",
        "none": "nowhere: no keyring answers here. Set LEGION_PASSPHRASE, or use env://NAME",
    }
    told = "\n".join(names) if names else f"No secrets. They are kept {places.get(backend, backend)}."
    return Outcome({"backend": backend, "names": names}, told)


def remove_secret(setting: Setting, args: argparse.Namespace) -> Outcome:
    """`secret remove`."""
    setting.backend.remove_secret(args.name)
    return Outcome({"name": args.name}, f"{args.name} is forgotten.")


CONFIG: Actions = {"get": get, "set": change, "check": check, "path": path}
SECRET: Actions = {"set": set_secret, "list": list_secrets, "remove": remove_secret}
