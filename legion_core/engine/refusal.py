"""Pure: a document that cannot be used, with every fault in it at once."""

from collections.abc import Sequence
from difflib import get_close_matches

from legion_core.kernel.config_check import Fault
from legion_core.kernel.errors import InvalidInput

FAULTS_MAX = 100


class InvalidDocument(InvalidInput):
    """A condition, transform, chain or schedule as written cannot be used; `faults` names all there is to mend."""

    faults: tuple[Fault, ...]

    def __init__(self, what: str, faults: Sequence[Fault]) -> None:
        first = str(faults[0])
        more = f" ({len(faults) - 1} more)" if len(faults) > 1 else ""
        super().__init__(f"{what} cannot be used: {first}{more}")
        self.faults = tuple(faults[:FAULTS_MAX])


def nearest(word: object, known: Sequence[str]) -> str:
    """`Did you mean …?`, or what is known where nothing is near; empty where too much is known to be told."""
    near = (
        get_close_matches(word, known, n=1, cutoff=0.6) if isinstance(word, str) and len(word) < 100 else []
    )
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Known: {', '.join(known)}." if 0 < len(known) <= 30 else ""


def shown(value: object, length_max: int = 60) -> str:
    """A value as it stands in a sentence: JSON-like, short."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() if value.bit_length() > 128:
            return "a number of very many digits"
        case str() | int() | float():
            text = repr(value[: length_max + 1] if isinstance(value, str) else value)
            return text if len(text) <= length_max else f"{text[: length_max - 1]}…"
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return f"a {type(value).__name__}"
