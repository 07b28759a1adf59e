"""A request as a handler sees it, and what a handler gives back: no ASGI beyond this file and `app`."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

import msgspec

from legion_core.api.types import Principal
from legion_core.gateway.dedupe import InFlight
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import InvalidInput
from legion_core.kernel.ids import Ids
from legion_core.kernel.supervise import Supervisor
from legion_core.surfaces.rest.limits import Limits
from legion_core.surfaces.rest.tally import Tally

if TYPE_CHECKING:
    from legion_core.api.facade import Legion
    from legion_core.surfaces.rest.feed import Feed

T = TypeVar("T")
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Desk:
    """What every handler works with."""

    legion: "Legion"
    clock: Clock
    ids: Ids
    supervisor: Supervisor
    limits: Limits
    feed: "Feed"
    tally: Tally
    in_flight: InFlight = field(default_factory=InFlight)


class Call(msgspec.Struct, frozen=True):
    """One request that has passed the guard. Header names are lower case; of repeated ones the first counts.

    The body's length is not among them.
    """

    who: Principal
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    raw_headers: tuple[tuple[bytes, bytes], ...] = ()  # as they came, repeated ones too
    is_plain: bool = False  # no header is one of ours

    def read(self, kind: type[T]) -> T:
        """The body as `kind`; InvalidInput says which field is wrong."""
        try:
            return msgspec.json.decode(self.body or b"{}", type=kind)
        except msgspec.DecodeError as error:
            raise InvalidInput(f"The body does not fit: {error}.") from error
        except UnicodeDecodeError as error:
            raise InvalidInput("The body is not UTF-8.") from error
        except RecursionError as error:
            raise InvalidInput("The body is nested too deeply.") from error

    def number(self, name: str, *, default: int, minimum: int = 1, maximum: int) -> int:
        """A whole number from the query, within its bounds."""
        text = self.query.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) < 16 and minimum <= int(text) <= maximum):
            raise InvalidInput(f"`{name}` must be a number from {minimum} to {maximum}.")
        return int(text)

    def flag(self, name: str) -> bool:
        """`true` or `false` from the query; false if absent."""
        text = self.query.get(name, "false")
        if text not in ("true", "false"):
            raise InvalidInput(f"`{name}` must be true or false.")
        return text == "true"

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of the words from the query; the first if absent."""
        text = self.query.get(name, choices[0])
        if text not in choices:
            raise InvalidInput(f"`{name}` must be one of {', '.join(choices)}.")
        return text


@dataclass(frozen=True, slots=True)
class Reply:
    """Data for the envelope `{data, meta}`."""

    data: object
    status: int = 200
    meta: Mapping[str, object] = field(default_factory=dict[str, object])


class Raw(msgspec.Struct, frozen=True):
    """A whole body in a shape of its own."""

    body: bytes
    media_type: str = "application/json"
    status: int = 200
    headers: Headers = ()


class Client(Protocol):
    """The far end while an answer is streamed to it. When it goes, the streaming is cancelled."""

    async def start(self, status: int, media_type: str, headers: Headers = ()) -> None:
        """Send the head, once."""
        ...

    async def whole(self, raw: "Raw") -> None:
        """Send head and body at once instead of streaming."""
        ...

    async def send(self, chunk: bytes) -> None:
        """Send part of the body, whole frames only; waits while the client does not read."""
        ...

    @property
    def takes_at_once(self) -> bool:
        """Whether `send_at_once` may be used now: nothing waits before it, and the client reads as fast as we write."""
        ...

    def send_at_once(self, chunk: bytes) -> None:
        """As `send`, without waiting."""
        ...

    def say_when_quiet(self, comment: Callable[[], bytes]) -> None:
        """From now on send this whenever nothing else was sent for a while."""
        ...

    async def finish(self, last: bytes = b"") -> None:
        """End the body, once."""
        ...


Streaming = Callable[[Client], Awaitable[None]]


class Streamed(msgspec.Struct, frozen=True):
    """An answer that writes itself while the client listens."""

    write: Streaming


Handler = Callable[[Desk, Call], Awaitable[Reply | Raw | Streamed]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter or request header, for the description."""

    name: str
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    place: Literal["query", "header"] = "query"


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the route table, from which both the router and `/openapi.json` are made.

    `right` is the path and action asked of the authoriser; None is for what is open to all, or, with `is_signed`, proves
    itself by a signature. `answer` is the type of
    `data`, `example` an instance of it. `media_type` other than JSON means the body is not an envelope; `media_types` are
    further ones that may be asked for.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    name: str
    summary: str
    handler: Handler
    right: tuple[str, str] | None
    answer: Any = None
    example: object = None
    status: int = 200
    body: Any = None
    body_example: object = None
    query: tuple[Parameter, ...] = ()
    media_type: str = "application/json"
    media_types: tuple[str, ...] = ()
    is_enveloped: bool = True
    is_signed: bool = False

    @property
    def tag(self) -> str:
        """The group in the description."""
        words = self.path.strip("/").split("/")
        if self.path.startswith("/api/v1/"):
            return words[2]
        return "dialects" if words[0] in ("v1", "v1beta", "api") else "node"
