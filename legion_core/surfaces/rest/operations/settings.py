"""`/api/v1/settings` and `/api/v1/secrets`: the configuration in force; of secrets only their names."""

import msgspec

from legion_core.api.types import SettingRow
from legion_core.surfaces.rest import examples
from legion_core.surfaces.rest.calls import Call, Desk, Operation, Reply
from legion_core.surfaces.rest.operations.models import Done


class ValueBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A setting's new value, of the setting's own type."""

    value: bool | int | float | str | tuple[str, ...]


class SecretBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A secret's value; it goes in and never comes back out."""

    value: str


class SettingsCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration file and everything wrong with it, one line for each fault."""

    path: str
    faults: tuple[str, ...]


class SecretsShape(msgspec.Struct, frozen=True, kw_only=True):
    """The names kept, and where: `keyring`, `file`, `locked` or `none`."""

    backend: str
    names: tuple[str, ...]


def _row(desk: Desk, key: str) -> SettingRow:
    settings = desk.legion.settings
    settings.get(key)  # raises NotFound naming the nearest keys
    return next(row for row in settings.rows() if row.key == key)


async def list_settings(desk: Desk, call: Call) -> Reply:
    """Every leaf of the schema with its value."""
    return Reply(desk.legion.settings.rows())


async def check_settings(desk: Desk, call: Call) -> Reply:
    """What was written by hand is put in force first; while there is a fault, the last good configuration stays."""
    settings = desk.legion.settings
    await settings.look_again()
    return Reply(SettingsCheck(path=str(settings.path), faults=settings.faults()))


async def show_setting(desk: Desk, call: Call) -> Reply:
    """One setting."""
    return Reply(_row(desk, call.path["key"]))


async def set_setting(desk: Desk, call: Call) -> Reply:
    """Written to the file and put in force."""
    await desk.legion.settings.set(call.path["key"], call.read(ValueBody).value)
    return Reply(_row(desk, call.path["key"]))


async def reset_setting(desk: Desk, call: Call) -> Reply:
    """Back to its default."""
    await desk.legion.settings.reset(call.path["key"])
    return Reply(_row(desk, call.path["key"]))


async def list_secrets(desk: Desk, call: Call) -> Reply:
    """Names only."""
    secrets = desk.legion.secrets
    return Reply(SecretsShape(backend=await secrets.backend(), names=await secrets.names()))


async def set_secret(desk: Desk, call: Call) -> Reply:
    """Keep or replace it."""
    await desk.legion.secrets.set(call.path["name"], call.read(SecretBody).value)
    return Reply(Done(name=call.path["name"], done="set"))


async def remove_secret(desk: Desk, call: Call) -> Reply:
    """Forget it."""
    await desk.legion.secrets.remove(call.path["name"])
    return Reply(Done(name=call.path["name"], done="removed"))


_READ, _MANAGE = ("settings", "read"), ("settings", "manage")
_SECRETS_READ, _SECRETS_MANAGE = ("secrets", "read"), ("secrets", "manage")

OPERATIONS = (
    Operation(
        method="GET",
        path="/api/v1/settings",
        name="list_settings",
        summary="Every setting with its value",
        handler=list_settings,
        right=_READ,
        answer=tuple[SettingRow, ...],
        example=(examples.SETTING,),
    ),
    Operation(
        method="GET",
        path="/api/v1/settings/check",
        name="check_settings",
        summary="Everything wrong with the configuration file",
        handler=check_settings,
        right=_READ,
        answer=SettingsCheck,
        example=SettingsCheck(
            path="/home/ada/.local/share/legion/config.toml", faults=("line 3: `mod` is not a setting",)
        ),
    ),
    Operation(
        method="GET",
        path="/api/v1/settings/{key}",
        name="show_setting",
        summary="One setting",
        handler=show_setting,
        right=_READ,
        answer=SettingRow,
        example=examples.SETTING,
    ),
    Operation(
        method="PUT",
        path="/api/v1/settings/{key}",
        name="set_setting",
        summary="Change a setting",
        handler=set_setting,
        right=_MANAGE,
        answer=SettingRow,
        example=examples.SETTING,
        body=ValueBody,
        body_example=ValueBody(value=True),
    ),
    Operation(
        method="DELETE",
        path="/api/v1/settings/{key}",
        name="reset_setting",
        summary="Back to its default",
        handler=reset_setting,
        right=_MANAGE,
        answer=SettingRow,
        example=examples.SETTING,
    ),
    Operation(
        method="GET",
        path="/api/v1/secrets",
        name="list_secrets",
        summary="Names of the secrets kept",
        handler=list_secrets,
        right=_SECRETS_READ,
        answer=SecretsShape,
        example=SecretsShape(backend="keyring", names=("provider-box-a",)),
    ),
    Operation(
        method="PUT",
        path="/api/v1/secrets/{name}",
        name="set_secret",
        summary="Keep a secret",
        handler=set_secret,
        right=_SECRETS_MANAGE,
        answer=Done,
        example=Done(name="amqp", done="set"),
        body=SecretBody,
        body_example=SecretBody(value="…"),
    ),
    Operation(
        method="DELETE",
        path="/api/v1/secrets/{name}",
        name="remove_secret",
        summary="Forget a secret",
        handler=remove_secret,
        right=_SECRETS_MANAGE,
        answer=Done,
        example=Done(name="amqp", done="removed"),
    ),
)
