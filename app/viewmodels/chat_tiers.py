"""The entries of the selector that says where answers may come from."""

from dataclasses import dataclass

from legion_core.api.types import Pins, Tier


@dataclass(frozen=True, slots=True)
class TierChoice:
    """An entry of the tier selector: what it says, its explanation, and the pins it means."""

    key: str
    title: str
    detail: str
    tier: str = ""
    pins: Pins | None = None


TIER_CHOICES: tuple[TierChoice, ...] = (
    TierChoice("auto", "Auto", "The nearest model that can answer"),
    *(
        TierChoice(f"max.{tier.word}", f"Auto, at most {tier.word}", detail, tier.word, Pins(tier_max=tier))
        for tier, detail in (
            (Tier.LOCAL, "Nothing leaves this computer"),
            (Tier.DIRECT, "This computer and machines of yours"),
            (Tier.FLEET, "Shared machines too"),
            (Tier.CLOUD, "Cloud models too, no frontier ones"),
        )
    ),
    *(
        TierChoice(f"only.{tier.word}", f"Only {tier.word}", detail, tier.word, Pins(tier=tier))
        for tier, detail in (
            (Tier.CLOUD, "Skip nearer models"),
            (Tier.FRONTIER, "The strongest models you have a key for"),
        )
    ),
)
