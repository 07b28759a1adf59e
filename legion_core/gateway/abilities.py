"""What of a model may be open: what it can beside answering, and the word for each; and who asks it.

Servers often do not tell these, so they are what a person says of a model and what a model is asked to show.
"""

from typing import Final

from legion_core.gateway.types import Capability

ABILITIES: Final[dict[Capability, str]] = {
    "tools": "tools",
    "vision": "images",
    "documents": "documents",
    "thinking": "thinking",
    "structured_output": "structured output",
    "completions": "completions",
    "fim": "fim",
}
TRIAL_CLIENT: Final = "provider model try"  # by whom a model is asked what it can, in the ledger


def flag_of(ability: Capability) -> str:
    """The option of `legion provider model set` that says it, without its dashes."""
    return ABILITIES[ability].replace(" ", "-")
