"""The one route table: everything this surface answers to."""

from legion_core.surfaces.rest.calls import Operation
from legion_core.surfaces.rest.operations import health


def operations() -> tuple[Operation, ...]:
    """All of it, in the order in which paths are matched."""
    return (*health.OPERATIONS,)
