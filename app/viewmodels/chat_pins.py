"""The route that each chat insists on, as chosen in this window."""

from app.viewmodels.chat_tiers import TIER_CHOICES
from legion_core.api.types import Pins


class ChosenRoutes:
    """By a chat's id; a new chat has none, and takes its choice along once it has one."""

    def __init__(self) -> None:
        self._chosen: dict[str, tuple[str, Pins | None]] = {}

    def pins(self, conversation_id: str) -> Pins | None:
        """What goes with its requests."""
        return self._chosen.get(conversation_id, ("", None))[1]

    def title(self, conversation_id: str) -> str:
        """What the tier selector says."""
        return self._chosen.get(conversation_id, (TIER_CHOICES[0].title, None))[0]

    def choose(self, conversation_id: str, title: str, pins: Pins | None) -> None:
        """From now on."""
        self._chosen[conversation_id] = (title, pins)

    def take_along(self, conversation_id: str) -> None:
        """The new chat has this id now."""
        if (chosen := self._chosen.pop("", None)) is not None:
            self._chosen[conversation_id] = chosen
