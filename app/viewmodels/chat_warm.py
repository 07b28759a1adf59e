"""Loads the local model that would answer while the question is still being typed."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from app.bridge import Bridge
from legion_core.api.types import Pins, Tier

if TYPE_CHECKING:
    from legion_core.api.facade import Legion

WARM_AGAIN_S = 60.0  # a model that is loaded already costs a load nothing, but not every key need ask


class Warming:
    """Asks once a minute at most; failures say nothing."""

    def __init__(self, bridge: Bridge, now: Callable[[], datetime]) -> None:
        self._bridge = bridge
        self._now = now
        self._warmed_s = float("-inf")

    def begin(self, pins: Pins | None) -> None:
        """Somebody begins to type a question for the route of `pins`."""
        now_s = self._now().timestamp()
        if pins is not None and pins.tier not in (None, Tier.LOCAL):
            return  # no local model will be asked
        if now_s - self._warmed_s < WARM_AGAIN_S or self._bridge.legion is None:
            return
        self._warmed_s = now_s

        async def load(legion: "Legion") -> None:
            lanes = await legion.llm.lanes()
            wanted = pins.model if pins is not None else ""
            local = [
                lane for lane in lanes if lane.kind == "llamacpp" and "streaming" in lane.offer.capabilities
            ]
            found = next((lane for lane in local if lane.offer.id == wanted), local[0] if local else None)
            if found is not None:
                await legion.models.load(found.offer.id)

        self._bridge.launch("chat.warm", load, lambda _: None, lambda _: None)
