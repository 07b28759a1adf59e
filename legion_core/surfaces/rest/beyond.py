"""What our own wire knows of a request and can do for it beyond ASGI, in the scope under `BEYOND`.

Everything works without it, as ASGI says; with it nothing is listened for, copied or awaited that the wire knows already.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from legion_core.surfaces.rest.head import Head

if TYPE_CHECKING:
    from starlette.types import Scope

BEYOND: Final = "legion.beyond"


class Flow(Protocol):
    """The state of a connection's way out."""

    write_paused: bool  # the client does not read as fast as we write


class Beyond(Protocol):
    """One request's connection, as the wire sees it."""

    head: Head
    length: int  # of the body, as the head says; 0 where it says none
    target: bytes  # of the request line, as it came
    flow: Flow
    body_bytes_max: int  # what `body` may give: nothing, until the guard has said how much

    def abort(self) -> None:
        """Drop the connection without waiting for the client."""
        ...

    def watch(self, on_gone: Callable[[], None]) -> Callable[[], None]:
        """Call `on_gone` once, when the client is gone; gives what takes that back."""
        ...

    def body(self) -> bytes | None:
        """The request's whole body, taken; None if it is not there yet or too large, and then `receive` tells."""
        ...

    def push(self, body: bytes) -> None:
        """Write part of an answer's body whose head is out, in chunks."""
        ...

    def answer(self, status: int, lines: bytes, body: bytes) -> bool:
        """Write a whole answer, `lines` being its own headers, each with its end. False: it has to go by ASGI."""
        ...


def beyond(scope: "Scope") -> Beyond | None:
    """What the wire put into a request's scope; None where another one brought it."""
    return scope.get(BEYOND)
