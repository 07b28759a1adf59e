"""A small HTTP client for one node on loopback: standard library only, because a command must start at once."""

import http.client
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from legion_core.kernel import errors
from legion_core.kernel.errors import ConnectionLost, Denied, LegionError, Malformed, TimedOut
from legion_core.surfaces.cli.failures import kind_of

T = TypeVar("T")
ANSWER_S = 600.0  # the longest silence within an answer: a big model on a small machine thinks long
PROBE_S = 2.0


def part(text: str) -> str:
    """One segment of a path, slashes and all."""
    return quote(text, safe="")


class Envelope(msgspec.Struct, frozen=True):
    """`{data, meta}` with the data still unread."""

    data: msgspec.Raw


class Fault(msgspec.Struct, frozen=True):
    """The error of a refused request."""

    code: str = "internal"
    message: str = "The node refused without a reason."
    hint: str = ""
    faults: tuple[str, ...] = ()


class Refusal(msgspec.Struct, frozen=True):
    """`{error, meta}`."""

    error: Fault = Fault()


class Wire:
    """One connection to the node; not for two threads."""

    def __init__(self, host: str, port: int, token: str, timeout_s: float = ANSWER_S) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
        self._address = (host, port, token, timeout_s)
        self._token = token
        self._where = f"{host}:{port}"

    def another(self) -> "Wire":
        """A second connection, for use while this one streams."""
        return Wire(*self._address)

    def get(self, path: str, kind: type[T], **query: object) -> T:
        """The `data` at this path."""
        return self.ask("GET", path, kind, query=query)

    def ask(
        self,
        method: str,
        path: str,
        kind: type[T],
        *,
        body: object = None,
        query: Mapping[str, object] | None = None,
    ) -> T:
        """The `data` of the answer, as `kind`."""
        answer = self._send(method, _with_query(path, query or {}), body, {})
        content = answer.read()
        return msgspec.json.decode(msgspec.json.decode(content, type=Envelope).data, type=kind)

    def text(self, path: str, **query: object) -> str:
        """A body that is no envelope."""
        return self._send("GET", _with_query(path, query), None, {}).read().decode()

    def stream(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> "Stream":
        """A `text/event-stream`; close it."""
        answer = self._send(method, path, body, {"Accept": "text/event-stream", **(headers or {})})
        return Stream(answer, self.close)

    def is_there(self) -> bool:
        """Whether anything answers at all."""
        try:
            return self._send("GET", "/readyz", None, {}).read() == b"ready\n"
        except LegionError:
            return False

    def _send(
        self, method: str, target: str, body: object, headers: Mapping[str, str]
    ) -> http.client.HTTPResponse:
        sent = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        sent |= headers
        content = None
        if body is not None:
            content = msgspec.json.encode(body)
            sent["Content-Type"] = "application/json"
        try:
            self._connection.request(method, target, body=content, headers=sent)
            answer = self._connection.getresponse()
        except TimeoutError as error:
            self.close()
            raise TimedOut(f"The node at {self._where} did not answer in time.") from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise ConnectionLost(f"The node at {self._where} cannot be reached: {error}.") from error
        if answer.status >= 400:
            raise error_of(answer.status, answer.read())
        return answer

    def close(self) -> None:
        """Idempotent."""
        self._connection.close()


class Stream:
    """The frames of one answer: `(event, data)`; an unnamed one has the event `message`."""

    def __init__(self, answer: http.client.HTTPResponse, hang_up: Callable[[], None]) -> None:
        self._answer = answer
        self._hang_up = hang_up

    def header(self, name: str) -> str:
        """A header of the answer; empty if absent."""
        return self._answer.getheader(name) or ""

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        name, data = "message", list[bytes]()
        try:
            for line in self._answer:
                text = line.rstrip(b"\r\n")
                if text.startswith(b"event: "):
                    name = text[7:].decode()
                elif text.startswith(b"data: "):
                    data.append(text[6:])
                elif not text and data:
                    yield name, b"\n".join(data)
                    name, data = "message", []
        except TimeoutError as error:
            raise TimedOut("The node fell silent.") from error
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionLost("The node went away in the middle of its answer.") from error

    def close(self) -> None:
        """Hang up. What was not read would be taken for the head of the next answer, so the connection goes too."""
        self._answer.close()
        self._hang_up()


def error_of(status: int, content: bytes) -> LegionError:
    """The error the node raised, as near as its code tells."""
    try:
        fault = msgspec.json.decode(content, type=Refusal).error
    except msgspec.DecodeError:
        return Malformed(f"The node answered {status} without a reason.")
    if status == 401:
        return Denied(
            "The running node does not take this token.",
            hint="Unset LEGION_TOKEN, or set it to what the node was started with.",
        )
    kind = kind_of(fault.code)
    if kind is errors.ConfigError:
        return errors.ConfigError(fault.message, hint=fault.hint, faults=fault.faults)
    made = kind(fault.message, hint=fault.hint)
    if isinstance(made, errors.InvalidInput):
        made.faults = fault.faults
    return made


def _with_query(path: str, query: Mapping[str, object]) -> str:
    given: dict[str, Any] = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


def loads(data: bytes) -> Any:
    """JSON from a stranger's dialect, untyped."""
    return json.loads(data)
