"""What the configuration says, in the terms of those who work by it."""

import msgspec

from legion_core.api.types import ProviderSpec
from legion_core.gateway.budget import Limits
from legion_core.gateway.chat import ChatDefaults
from legion_core.gateway.prices import OwnPrice
from legion_core.gateway.providers.stated import settled
from legion_core.gateway.types import ModelOffer, Pins, Price, Tier
from legion_core.kernel.settings_schema import Config, Instance, Model

ANY_MODEL = ("", "auto", "legion")


def limits(config: Config) -> Limits:
    """What may be spent."""
    told = config.budget
    return Limits(
        day_usd=told.day_usd,
        client_day_usd=told.client_day_usd,
        conversation_usd=told.conversation_usd,
        allow_unknown_price=told.allow_unknown_price,
    )


def own_prices(config: Config) -> list[OwnPrice]:
    """What the user says that models cost."""
    return [
        OwnPrice(
            model=told.model,
            price=msgspec.convert(told.price, Price, from_attributes=True),
            instance=told.instance,
        )
        for told in config.gateway.prices
    ]


def chat_defaults(config: Config) -> ChatDefaults:
    """How a new chat begins."""
    chat = config.chat
    model = None if chat.model in ANY_MODEL else chat.model
    pins = Pins(model=model, tier_max=Tier.parse(chat.tier_max))
    return ChatDefaults(pins=pins, system=(chat.system_prompt,) if chat.system_prompt else ())


def spec_of(instance: Instance) -> ProviderSpec:
    """An instance as providers are made of; its key is a reference.

    Of an instance that is asked too, the models are as they are said: what is left open is 0 or empty.
    """
    said = tuple(_offer(model) for model in instance.models)
    return ProviderSpec(
        name=instance.name,
        kind=instance.kind,
        base_url=instance.base_url,
        api_key=instance.api_key,
        tier=instance.tier,
        models=said if instance.discover else tuple(settled(offer) for offer in said),
    )


def instance_of(spec: ProviderSpec, reference: str) -> Instance:
    """The other way round, as it is written into the file; `reference` stands for the key."""
    told = msgspec.to_builtins(spec)
    told["api_key"] = reference
    # Of a model that is only named nothing is said.
    told["models"] = [
        {"id": offer.id} if offer == ModelOffer(id=offer.id) else msgspec.to_builtins(offer)
        for offer in spec.models
    ]
    return msgspec.convert(told, Instance)


def _offer(model: Model) -> ModelOffer:
    price = msgspec.convert(model.price, Price, from_attributes=True) if model.price else None
    return ModelOffer(
        id=model.id,
        context=model.context,
        capabilities=frozenset(model.capabilities),
        continuation=model.continuation,
        price=price,
    )
