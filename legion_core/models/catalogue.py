"""The short list of models the Models page offers; shipped as data, nothing is asked of the network to show it."""

from functools import cache
from importlib.resources import files

import msgspec

from legion_core.kernel.errors import NotFound


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A model one can get. Sizes and counts are rounded; `sha256` None means that none was verified."""

    name: str
    title: str
    url: str
    size_bytes_about: int
    quantisation: str
    parameters_about: int
    context_max: int
    licence: str
    sha256: str | None
    about: str


class Catalogue(msgspec.Struct, frozen=True, kw_only=True):
    """The offers, smallest first, and a word on how they are checked."""

    note: str
    models: tuple[Offer, ...]


@cache
def catalogue() -> Catalogue:
    """The shipped list; reads one small file, once."""
    raw = files("legion_core.models").joinpath("catalogue.json").read_bytes()
    return msgspec.json.decode(raw, type=Catalogue)


def offer(name: str) -> Offer:
    """The offer of that name, in any case; raises NotFound with the names there are."""
    for found in catalogue().models:
        if found.name == name.lower():
            return found
    names = ", ".join(each.name for each in catalogue().models)
    raise NotFound(
        f"There is no model named {name!r} in the catalogue.", hint=f"Give a URL, or one of: {names}."
    )
