"""The settings: every leaf of the configuration with its value now, changed one at a time and in force at once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from legion_core.api.types import SettingChanged, SettingRow
from legion_core.kernel.config import (
    Loaded,
    add_instance,
    describe_model,
    find_field,
    forget_model,
    from_words,
    get_value,
    load,
    remove_instance,
    reset_value,
    schema,
    set_value,
)
from legion_core.kernel.errors import Conflict
from legion_core.kernel.events import EventBus
from legion_core.kernel.settings_schema import Config, Field, Instance, Model, SettingValue

Apply = Callable[[Config], Awaitable[None]]


# What is about to be changed: `(kind, what, detail)`. Where it cannot be recorded it raises, and nothing is changed.
Record = Callable[[str, str, str], Awaitable[None]]


async def unrecorded(kind: str, what: str, detail: str) -> None:
    """For a workbench without an audit log."""


class Settings:
    """Reads and changes `config.toml`; a change that is refused leaves the file as it was."""

    def __init__(
        self,
        path: Path,
        env: Mapping[str, str],
        loaded: Loaded,
        bus: EventBus,
        apply: Apply,
        record: Record | None = None,
    ) -> None:
        """`apply` puts a new configuration in force; `record` writes down what is about to be changed, or refuses it."""
        self.path = path
        self._env = env
        self._loaded = loaded
        self._bus = bus
        self._apply = apply
        self._record = record or unrecorded
        self._one_at_a_time = asyncio.Lock()
        self._seen = _look(path)

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._loaded.config

    def faults(self) -> tuple[str, ...]:
        """What is wrong with the file, a line each; while there is anything, the last good copy is in force."""
        return tuple(str(fault) for fault in self._loaded.faults)

    def rows(self) -> tuple[SettingRow, ...]:
        """Every setting, in the order of the Settings page."""
        return tuple(self._row(leaf) for leaf in schema())

    def get(self, key: str) -> SettingValue:
        """The value in force; raises NotFound naming the nearest keys."""
        return get_value(self.config, key)

    async def set(self, key: str, value: SettingValue) -> SettingRow:
        """Write and put in force. Text for a number or a switch is understood as a person would type it."""
        leaf = find_field(key)
        self._refuse_overridden(key)
        if isinstance(value, str) and leaf.type not in ("str", "choice", "path", "secret"):
            value = from_words(key, value)
        await self._record("setting.changed", key, "" if leaf.type == "secret" else f"{value}"[:200])
        await self._change(lambda: set_value(self.path, key, value))
        self._tell(key)
        return self._row(leaf)

    async def reset(self, key: str) -> SettingRow:
        """Back to the default."""
        leaf = find_field(key)
        await self._record("setting.reset", key, "")
        await self._change(lambda: reset_value(self.path, key))
        self._tell(key)
        return self._row(leaf)

    async def add_instance(self, instance: Instance) -> None:
        """Write a provider instance and put it in force."""
        await self._record("provider.added", instance.name, f"{instance.kind} {instance.base_url}".strip())
        await self._change(lambda: add_instance(self.path, instance))

    async def remove_instance(self, name: str) -> None:
        """Take a provider instance out."""
        await self._record("provider.removed", name, "")
        await self._change(lambda: remove_instance(self.path, name))

    async def describe_model(self, instance: str, model: Model) -> None:
        """Write what is said of a model at an instance and put it in force."""
        said = f"{model.context or ''} {' '.join(model.capabilities)} {model.continuation}"
        await self._record("model.described", f"{instance}/{model.id}", " ".join(said.split()))
        await self._change(lambda: describe_model(self.path, instance, model))

    async def forget_model(self, instance: str, model: str) -> None:
        """Take out what is said of a model."""
        await self._record("model.forgotten", f"{instance}/{model}", "")
        await self._change(lambda: forget_model(self.path, instance, model))

    async def look_again(self) -> bool:
        """Put in force what was written into the file by hand since it was last read; False if nothing was.

        There is no watch on the file: whoever shows or checks what is in force looks. A file with a fault changes
        nothing but `faults`.
        """
        async with self._one_at_a_time:
            seen = await asyncio.to_thread(_look, self.path)
            if seen is None or seen == self._seen:  # an editor may replace the file at this moment
                return False
            before = self.config
            loaded = await asyncio.to_thread(load, self.path, self._env)
            self._seen = seen
            if loaded.config != before:
                await self._record("config.read", self.path.name, "written by hand")
            self._loaded = loaded
            if loaded.config != before:
                await self._apply(loaded.config)
        self._tell("")
        return True

    async def _change(self, work: Callable[[], object]) -> None:
        async with self._one_at_a_time:
            await asyncio.to_thread(work)
            self._seen = await asyncio.to_thread(_look, self.path)
            self._loaded = await asyncio.to_thread(load, self.path, self._env)
            await self._apply(self.config)

    def _refuse_overridden(self, key: str) -> None:
        variable = self._loaded.from_environment.get(key)
        if variable is not None:
            raise Conflict(
                f"{key} is set by the environment variable {variable}, which stands above the file.",
                hint=f"Unset {variable} and start again.",
            )

    def _row(self, leaf: Field) -> SettingRow:
        return SettingRow(
            key=leaf.key,
            title=leaf.title,
            description=leaf.description,
            group=leaf.group,
            level=leaf.level,
            type=leaf.type,
            value=self.get(leaf.key),
            default=leaf.default,
            choices=leaf.choices,
            minimum=leaf.minimum,
            maximum=leaf.maximum,
            unit=leaf.unit,
            needs_restart=leaf.needs_restart,
            from_environment=self._loaded.from_environment.get(leaf.key, ""),
        )

    def _tell(self, key: str) -> None:
        at_utc, at_mono_s = self._bus.stamp()
        self._bus.publish(SettingChanged(at_utc=at_utc, at_mono_s=at_mono_s, key=key))


def _look(path: Path) -> tuple[int, int, int] | None:
    """What tells one state of the file from another without reading it; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
