"""What the user says of a model beside what its server tells.

An offer that is said may leave things open: a context of 0 and no capabilities stand for what the server tells, and a
price that is none for the one it tells.
"""

from typing import overload

import msgspec

from legion_core.gateway.types import ModelOffer

_PLAIN = ModelOffer(id="")  # what a model counts for of which nothing is known


@overload
def filled(said: ModelOffer, told: ModelOffer | None) -> ModelOffer: ...
@overload
def filled(said: ModelOffer | None, told: ModelOffer) -> ModelOffer: ...
@overload
def filled(said: ModelOffer | None, told: ModelOffer | None) -> ModelOffer | None: ...
def filled(said: ModelOffer | None, told: ModelOffer | None) -> ModelOffer | None:
    """The model as it is offered: as said where something is said, else as told; None where nobody knows it."""
    if said is None:
        return told
    known = told or _PLAIN
    return msgspec.structs.replace(
        said,
        context=said.context or known.context,
        capabilities=said.capabilities or known.capabilities,
        price=known.price if said.price is None else said.price,
    )


def settled(said: ModelOffer) -> ModelOffer:
    """The model while its server has told nothing."""
    return filled(said, None)
