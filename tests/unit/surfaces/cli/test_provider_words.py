"""How an instance is, in the words of the Routing page."""

import pytest

from legion_core.api.types import ModelOffer, ProviderRow
from legion_core.surfaces.cli.commands.providers import state_words

OFFER = ModelOffer(id="m")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "ready"),
        ({"models": ()}, "no model"),
        ({"circuit": "open", "retry_in_s": 41.0}, "circuit open, retry in 41.0 s"),
        ({"circuit": "open", "is_tripped": True}, "tripped until reset"),
        ({"circuit": "open", "is_tripped": True, "problem": "The key was refused."}, "tripped until reset"),
        ({"is_draining": True, "in_flight": 2}, "draining, 2 under way"),
        ({"circuit": "half_open"}, "half-open, the next request is a probe"),
        ({"circuit": "half_open", "is_probing": True}, "half-open, a probe is under way"),
        ({"retry_in_s": 12.0}, "resting as it asked, retry in 12.0 s"),
        ({"problem": "The key was refused."}, "The key was refused."),
    ],
)
def test_a_state_is_said_in_one_word_everywhere(fields: dict[str, object], words: str) -> None:
    row = ProviderRow(**{"name": "box", "kind": "openai", "tier": "cloud", "models": (OFFER,), **fields})  # type: ignore[arg-type]
    assert state_words(row) == words
