"""What a dialect is: one client protocol, parsed once and rendered back once."""

from collections.abc import Mapping
from typing import Protocol

from legion_core.gateway.types import Closed, Request, StreamEvent, ToolUseBlock
from legion_core.kernel.errors import LegionError


class StreamWriter(Protocol):
    """Renders one answer's events as bytes of a `text/event-stream` (or NDJSON) body; it holds that stream's state."""

    def write(self, event: StreamEvent) -> bytes:
        """The bytes for this event; may be empty. `Closed` gives everything up to the end of the stream."""
        ...

    def error(self, error: LegionError) -> bytes:
        """A failure after the first byte, in the dialect's own shape, ending the stream."""
        ...

    def keep_alive(self) -> bytes:
        """Bytes a client ignores, sent while nothing else is."""
        ...


class WholeAnswer(Protocol):
    """What a non-streaming answer is made of; see `gateway.pipeline.Answer`."""

    @property
    def request_id(self) -> str: ...  # noqa: D102
    @property
    def model(self) -> str: ...  # noqa: D102
    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def thinking(self) -> str: ...  # noqa: D102
    @property
    def tool_calls(self) -> tuple[ToolUseBlock, ...]: ...  # noqa: D102
    @property
    def closed(self) -> Closed: ...  # noqa: D102


class Dialect(Protocol):
    """One client protocol."""

    @property
    def name(self) -> str:
        """Such as `openai_chat` or `anthropic_messages`."""
        ...

    @property
    def media_type(self) -> str:
        """The content type of a streamed answer."""
        ...

    def parse(self, body: bytes, headers: Mapping[str, str], *, request_id: str) -> Request:
        """The canonical request; InvalidInput names the field that is wrong. `headers` have lower-case names.

        The body's `model` is a wish: `auto` and `legion` let the router choose, anything else pins the model.
        `x-legion-tier`, `-instance`, `-model` and `-conversation` pin on top of it.
        """
        ...

    def render(self, answer: WholeAnswer) -> bytes:
        """The whole answer as one JSON body."""
        ...

    def writer(self, request: Request, *, created_s: int) -> StreamWriter:
        """A fresh writer for one streamed answer; `created_s` is Unix time."""
        ...

    def render_error(self, error: LegionError) -> tuple[int, bytes]:
        """HTTP status and JSON body in the dialect's own error shape. Our bugs are 500, never the caller's words."""
        ...
