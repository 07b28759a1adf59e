"""The ranges outside which no number is ever given to a backend, or believed of one.

A native backend has been broken by a negative count before, so every wire checks, whatever a dialect let through. And a
count of tokens is money: below nothing it would pay back what was spent, and beyond all measure no sum could be made.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Final

from legion_core.gateway.types import Params, Usage
from legion_core.kernel.errors import Unsupported

TOKENS_MAX: Final = 100_000_000  # of one kind in one answer: ten times what the longest context holds

_BOUNDS: Final = (
    ("max_tokens", 1, 10_000_000),
    ("temperature", 0, 2),
    ("top_p", 0, 1),
    ("top_k", 0, 1_000_000),
    ("seed", -(2**63), 2**63 - 1),
    ("frequency_penalty", -2, 2),
    ("presence_penalty", -2, 2),
    ("thinking_budget_tokens", 0, 10_000_000),
)
_bounded: Callable[[Params], tuple[float | None, ...]] = attrgetter(*(name for name, _, _ in _BOUNDS))


def check_ranges(params: Params) -> None:
    """Unsupported if a number is outside what any backend may be given. The bounds are those of the dialects."""
    for (name, low, high), value in zip(_BOUNDS, _bounded(params), strict=True):
        # A NaN is in no range, so it is refused here too.
        if value is not None and not low <= value <= high:
            raise Unsupported(f"{name} {value} is outside {low}…{high}.", capability=name)


def believed(told: Usage) -> Usage | None:
    """The counts as the provider told them; None where one of them cannot be, and our own estimate has to do."""
    counts = (
        told.input_tokens,
        told.output_tokens,
        told.cache_read_tokens,
        told.cache_write_tokens,
        told.thinking_tokens,
    )
    return told if min(counts) >= 0 and max(counts) <= TOKENS_MAX else None
