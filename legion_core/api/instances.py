"""Keeps what can be asked what the configuration says: instances come, change and go with it, and each gets its key."""

from collections.abc import Awaitable, Callable

import msgspec

from legion_core.api.configured import instance_of, spec_of
from legion_core.api.settings import Settings
from legion_core.api.types import ProviderSpec
from legion_core.gateway.inventory import Instance as Served
from legion_core.gateway.inventory import Inventory
from legion_core.gateway.providers.base import Provider
from legion_core.gateway.providers.registry import infer_tier, make
from legion_core.gateway.providers.stated import settled
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import LegionError
from legion_core.kernel.settings_schema import Config, Instance
from legion_core.rbac.key_hosts import KeyHosts
from legion_core.storage.secrets import Secrets

KEPT = "keyring://"


class Instances:
    """See the module. `on_change` is called after each change of the configuration."""

    def __init__(
        self,
        clock: Clock,
        inventory: Inventory,
        secrets: Secrets,
        key_hosts: KeyHosts,
        settings: Callable[[], Settings],
        on_change: Callable[[], Awaitable[None]],
    ) -> None:
        self._clock = clock
        self._inventory = inventory
        self._secrets = secrets
        self._key_hosts = key_hosts
        self._settings = settings
        self._on_change = on_change
        self._in_force: dict[str, Instance] = {}

    async def configure(self, config: Config) -> None:
        """Make the inventory what the configuration says; instances that did not change are left alone."""
        wanted = {instance.name: instance for instance in config.gateway.instances}
        for name in [name for name in self._in_force if name not in wanted]:
            del self._in_force[name]
            await self._inventory.remove(name).aclose()
        for name, instance in wanted.items():
            if self._in_force.get(name) == instance:
                continue
            self._in_force[name] = instance
            before = self._inventory.put(await self._served(instance))
            if before is not None:
                await before.aclose()
        self._inventory.price_anew()
        await self._on_change()

    async def renew(self, name: str = "") -> None:
        """Make those anew whose key is this secret, or any secret: it was set, taken away or unlocked."""
        for each, instance in list(self._in_force.items()):
            if not instance.api_key.startswith(KEPT) or (name and instance.api_key != KEPT + name):
                continue
            served = await self._served(instance)
            is_still_so = self._in_force.get(each) == instance  # the file may have been changed meanwhile
            replaced = self._inventory.put(served) if is_still_so else served.provider
            if replaced is not None:
                await replaced.aclose()
        await self._on_change()

    async def build(self, spec: ProviderSpec, key: str | None) -> Provider:
        """Make one with its key: `key` itself, or what its reference stands for where that is None.

        Denied where the key was given for another host.
        """
        await self._key_hosts.check(spec, key)
        secret = key if key is not None else await self._secrets.get(spec.api_key) if spec.api_key else ""
        return make(
            spec.name, spec.kind, self._clock, base_url=spec.base_url, api_key=secret, models=spec.models
        )

    async def save(self, spec: ProviderSpec, key: str | None) -> None:
        """Write it into the configuration, its key among the secrets."""
        reference = await self._secrets.set(_secret(spec.name), key) if key else spec.api_key
        await self._key_hosts.bind(spec, key, reference)
        await self._settings().add_instance(instance_of(spec, reference))

    async def forget(self, name: str) -> None:
        """Take it and its key away."""
        await self._settings().remove_instance(name)
        if _secret(name) in await self._secrets.names():
            await self._secrets.remove(_secret(name))

    async def _served(self, instance: Instance) -> Served:
        """As the inventory keeps it; one whose key cannot be had is kept with its problem."""
        spec = spec_of(instance)
        problem = ""
        try:
            provider = await self.build(spec, None)
        except LegionError as error:
            problem = error.sentence()
            provider = await self.build(msgspec.structs.replace(spec, api_key=""), "")
        return Served(
            provider=provider,
            tier=infer_tier(instance.kind, instance.base_url, instance.tier),
            base_url=instance.base_url,
            offers=() if problem else tuple(settled(offer) for offer in spec.models),
            said=spec.models,
            is_discovered=(instance.discover or not spec.models) and not problem,
            has_key=bool(instance.api_key),
            problem=problem,
        )


def _secret(name: str) -> str:
    return f"provider-{name}"
