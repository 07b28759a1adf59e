"""What an error is called in each dialect: the HTTP status and the names clients' libraries know."""

from dataclasses import dataclass

from legion_core.kernel.errors import (
    BadCredentials,
    Bug,
    ConfigError,
    Conflict,
    ConnectionLost,
    ContextTooLong,
    Corrupt,
    Denied,
    Filtered,
    InvalidInput,
    LegionError,
    LimitReached,
    Malformed,
    NotFound,
    Overloaded,
    ProviderError,
    RateLimited,
    Refused,
    StreamBroken,
    TimedOut,
    Unavailable,
    Unsupported,
    WorkerDied,
)


class ClosedInError(ProviderError):
    """An answer whose last event says that it failed; `code` is the first error's public code."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Shape:
    """`code` empty stands for the error's own public code."""

    status: int
    openai: str
    anthropic: str
    code: str = ""


# The first class an error is an instance of decides, so subclasses come before their base.
# A key that is wrong at the provider is no fault in the client's own token: 502, not 401, or clients would ask
# their user for a new one.
SHAPES: tuple[tuple[type[LegionError], Shape], ...] = (
    (InvalidInput, Shape(400, "invalid_request_error", "invalid_request_error")),
    (Denied, Shape(403, "permission_error", "permission_error")),
    (NotFound, Shape(404, "invalid_request_error", "not_found_error", "model_not_found")),
    (Conflict, Shape(409, "invalid_request_error", "invalid_request_error")),
    (LimitReached, Shape(429, "rate_limit_error", "rate_limit_error")),
    (ContextTooLong, Shape(400, "invalid_request_error", "invalid_request_error")),
    (Unsupported, Shape(400, "invalid_request_error", "invalid_request_error")),
    (Filtered, Shape(400, "invalid_request_error", "invalid_request_error", "content_filter")),
    (RateLimited, Shape(429, "rate_limit_error", "rate_limit_error", "rate_limit_exceeded")),
    (Overloaded, Shape(503, "server_error", "overloaded_error")),
    (TimedOut, Shape(504, "server_error", "timeout_error")),
    (ConnectionLost, Shape(502, "server_error", "api_error")),
    (StreamBroken, Shape(502, "server_error", "api_error")),
    (WorkerDied, Shape(502, "server_error", "api_error")),
    (Unavailable, Shape(503, "server_error", "overloaded_error")),
    (BadCredentials, Shape(502, "server_error", "api_error")),
    (Malformed, Shape(502, "server_error", "api_error")),
    (Refused, Shape(502, "server_error", "api_error")),
    (ProviderError, Shape(502, "server_error", "api_error")),
    (ConfigError, Shape(500, "server_error", "api_error")),
    (Corrupt, Shape(500, "server_error", "api_error")),
    (Bug, Shape(500, "server_error", "api_error")),
)
ANSWER_FAILED = Shape(502, "server_error", "api_error")
OURS = Shape(500, "server_error", "api_error")
UNKNOWN_CALLER = Shape(401, "authentication_error", "authentication_error", "invalid_api_key")
INTERNAL = "Something inside the workbench broke; the details are in its log."


def shape_of(error: LegionError, *, is_unknown_caller: bool = False) -> Shape:
    """The shape of `error`; `is_unknown_caller` turns Denied into 401."""
    if is_unknown_caller and isinstance(error, Denied):
        return UNKNOWN_CALLER
    if isinstance(error, ClosedInError):
        return next((shape for kind, shape in SHAPES if kind.public_code == error.code), ANSWER_FAILED)
    return next((shape for kind, shape in SHAPES if isinstance(error, kind)), OURS)


def code_of(error: LegionError, shape: Shape) -> str:
    """The machine-readable name of the error for clients."""
    if isinstance(error, ClosedInError):
        return error.code or error.public_code
    return shape.code or error.public_code


def public_sentence(error: LegionError) -> str:
    """What may be told to a client: the error's own sentence, unless the fault is ours."""
    return INTERNAL if error.blame == "us" or isinstance(error, Corrupt) else error.sentence()
