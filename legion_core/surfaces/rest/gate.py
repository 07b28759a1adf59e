"""Pure: whether a request may come in at all, decided from its head alone.

A loopback address is no defence: any web page can make a browser send requests to it, and a name that resolves to
127.0.0.1 makes them same-origin (DNS rebinding). So Host and Origin are checked against what we really listen on,
before a route is looked up and before the token is looked at.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl

from legion_core.surfaces.rest.head import Fields, Head, distinct

LOOPBACK_HOSTS = ("127.0.0.1", "[::1]", "localhost")
OPEN_PATHS = frozenset({"/healthz", "/readyz"})
SIGNED_PATHS = (
    "/hooks/"  # a POST below proves itself by a signature instead of a token, and may be of any type
)
# Gemini's clients put their key into the address; nowhere else is one taken from where logs and histories keep it.
KEYED_PATHS = ("/v1beta/", "/v1/models/")
SIGNED_BODY_BYTES_MAX = 1 << 20
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_BROWSERS = frozenset({b"origin", b"sec-fetch-site", b"upgrade"})  # what hardly any program sends

HOST_CHARS_MAX = 262  # of a name of 253 with brackets and port
_HOST = re.compile(r"^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?$")
_IP_LITERAL = re.compile(r"^(\[[0-9a-f:.]+\]|[0-9]{1,3}(\.[0-9]{1,3}){3})$")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer given before any handler runs."""

    status: int
    code: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class OwnAddress:
    """What we listen on. `hosts` are the names a Host header may carry, lower case, IPv6 in brackets.

    `any_ip` (set where somebody asked to listen beyond loopback) also takes IP literals: rebinding needs a name.
    """

    port: int
    hosts: tuple[str, ...] = LOOPBACK_HOSTS
    any_ip: bool = False

    def is_host(self, value: str) -> bool:
        """Whether a Host header's value means us, port included."""
        host, port = _host_and_port(value)
        if port != self.port:
            return False
        return host in self.hosts or (self.any_ip and _IP_LITERAL.fullmatch(host) is not None)

    def is_origin(self, value: str, asked: str) -> bool:
        """Whether an Origin header's value is a page of our own, of which we serve none but may one day.

        `asked` is the request's Host: an address that is not that one may be a stranger's page at the same port.
        """
        scheme, found, host = value.lower().partition("://")
        if not found or scheme != "http" or not self.is_host(host):
            return False
        return host == asked.lower() or host.rpartition(":")[0] in self.hosts


@lru_cache(maxsize=64)
def _host_and_port(value: str) -> tuple[str, int]:
    """What a Host header names; no port where it names nothing."""
    match = _HOST.fullmatch(value.lower()) if len(value) <= HOST_CHARS_MAX else None
    return (match.group(1), int(match.group(2) or 80)) if match is not None else ("", -1)


def judge_head(method: str, target: bytes, head: Head, own: OwnAddress) -> Refusal | None:
    """The reason to turn the request away, or None. `target` is the request line's target, unparsed."""
    if not target.startswith(b"/"):
        return Refusal(421, "misdirected", "The request names a whole address as its target, as to a proxy.")
    if head.passed is not own:  # a head that has passed passes again
        if (refusal := _judge_fields(head.fields, own)) is not None:
            return refusal
        head.passed = own
    return None if method in METHODS else unused_method(method)


def _judge_fields(headers: Fields, own: OwnAddress) -> Refusal | None:
    hosts = headers.get(b"host", ())
    if len(hosts) != 1 or not own.is_host(hosts[0]):
        return Refusal(
            421,
            "misdirected",
            "The request's Host header is not this address.",
            f"Use http://127.0.0.1:{own.port} or http://localhost:{own.port}.",
        )
    return None if _BROWSERS.isdisjoint(headers) else _judge_browser(headers, own, hosts[0])


def _judge_browser(headers: Fields, own: OwnAddress, host: str) -> Refusal | None:
    if any(not own.is_origin(origin, host) for origin in headers.get(b"origin", ())):
        return Refusal(403, "foreign_origin", "Web pages may not call this address.")
    if any(site not in ("same-origin", "none") for site in headers.get(b"sec-fetch-site", ())):
        return Refusal(403, "foreign_origin", "Web pages may not call this address.")
    if headers.get(b"upgrade", ()):
        return Refusal(400, "invalid_input", "This address speaks HTTP/1.1 only; it upgrades to nothing.")
    return None


def judge_body(
    method: str, head: Head, length: int, body_bytes_max: int, *, any_type: bool = False
) -> Refusal | None:
    """The reason not to read the body, or None. Without a body there is nothing to judge."""
    if length > body_bytes_max:
        return too_large(body_bytes_max)
    if length == 0 and not head.fields.get(b"transfer-encoding"):
        return None
    if method in ("GET", "HEAD"):
        return Refusal(400, "invalid_input", f"A {method} request carries no body here.")
    if any(coding.lower() != "identity" for coding in head.fields.get(b"content-encoding", ())):
        return Refusal(415, "unsupported_media_type", "A compressed body is not read.", "Send it as it is.")
    if not any_type and not head.is_json:
        return Refusal(
            415,
            "unsupported_media_type",
            "A body must be JSON: forms and uploaded files are not taken here.",
            "Send the header `content-type: application/json`.",
        )
    return None


def unused_method(method: str) -> Refusal:
    """The refusal of a method that this address does not take."""
    return Refusal(405, "method_not_allowed", f"{method[:16]} is not a method used here.")


def too_large(body_bytes_max: int) -> Refusal:
    """The refusal of a body over the bound."""
    return Refusal(413, "limit_reached", f"The body is larger than the limit of {body_bytes_max:,} bytes.")


def credentials(head: Head, path: str, query: bytes) -> tuple[str, ...]:
    """Every distinct credential the request carries, in whichever place: at most one is right.

    An empty string stands for one that cannot be a token (another scheme, not ASCII, too long).
    """
    if not query or b"key" not in query or not path.startswith(KEYED_PATHS):
        return head.tokens
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=1000)
    except ValueError:  # more fields than that: none of them is read as a token
        pairs = [("key", "")]
    return distinct((*head.tokens, *(value for name, value in pairs if name == "key")))
