"""Every bound of the HTTP surface, at one place."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds. What is over a bound is answered with 413, 414, 431, 408 or 503."""

    body_bytes_max: int = 32 * 1024 * 1024
    head_bytes_max: int = 64 * 1024  # request line and headers together
    headers_max: int = 100
    url_bytes_max: int = 16 * 1024
    head_s: float = 10.0  # from the first byte, or from the connection, to the end of the headers
    body_s: float = 60.0  # for the whole body
    keep_alive_s: float = 15.0  # an idle connection
    linger_s: float = 5.0  # reading on after a refusal, so that the client can read why
    write_s: float = 60.0  # one write to a client that does not read
    connections_max: int = 256
    quiet_s: float = 10.0  # a stream that says nothing gets a comment after this
    opening_s: float = 20.0  # a stream that waits longer for its first word begins without knowing its writer
    event_streams_max: int = 32
    events_kept: int = 1024
    idempotency_kept: int = 512
    idempotency_s: float = 24 * 3600.0
    idempotency_bytes_max: int = 256 * 1024  # a larger answer is not kept
    page_max: int = 500
