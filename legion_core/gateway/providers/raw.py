"""Text to be gone on with, at wires that know only talks: refused, for an answer to it would be no continuation of it."""

from legion_core.gateway.types import Request
from legion_core.kernel.errors import Unsupported


def refuse_raw(request: Request) -> None:
    """Unsupported if the request is no talk."""
    if request.is_raw:
        raise Unsupported(
            "This provider answers in a talk and goes on with no text.", capability="completions"
        )
