"""Errors as HTTP: one table from class to status, and one shape that every client understands."""

import logging
import math
import traceback

import msgspec

from legion_core.kernel import errors
from legion_core.kernel.errors import LegionError
from legion_core.kernel.ids import Ids
from legion_core.kernel.redact import redact

log = logging.getLogger("legion.rest")


class BodyTooLarge(errors.LimitReached):
    """The body went over the bound while it was read."""


# The nearest class on the way up decides.
STATUS: dict[type[LegionError], int] = {
    LegionError: 500,
    errors.ConfigError: 400,
    errors.Denied: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.LimitReached: 429,
    BodyTooLarge: 413,
    errors.InvalidInput: 400,
    errors.ProviderError: 502,
    errors.Unavailable: 503,
    errors.TimedOut: 504,
    errors.RateLimited: 429,
    errors.ContextTooLong: 400,
    errors.Unsupported: 400,
    errors.Filtered: 422,
    errors.Corrupt: 500,
    errors.Bug: 500,
}

# What the official SDKs look at is the status; `type` is for people who print the body.
_TYPES = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error"} | {
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
}


# What stays as it is however often it is asked.
_FINAL = (errors.Refused, errors.OverBudget, errors.Corrupt, errors.Bug)


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error as a client reads it. `faults` are the lines of a document with several."""

    code: str
    message: str
    type: str = ""
    hint: str = ""
    id: str = ""
    faults: tuple[str, ...] = ()


def status_of(error: LegionError) -> int:
    """The HTTP status of an error, by its class."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def fault_of(error: LegionError) -> Fault:
    """The error as a client reads it."""
    faults: tuple[str, ...] = ()
    if isinstance(error, errors.ConfigError | errors.InvalidInput):
        faults = tuple(map(str, error.faults))
    return fault(status_of(error), error.public_code, error.message, error.hint, faults=faults)


def fault(
    status: int, code: str, message: str, hint: str = "", *, number: str = "", faults: tuple[str, ...] = ()
) -> Fault:
    """A fault with its `type` filled in from the status."""
    kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return Fault(code=code, message=message, type=kind, hint=hint, id=number, faults=faults)


def body_of(what: Fault) -> bytes:
    """`{"type": "error", "error": {…}, "meta": {}}`: ours, and readable by OpenAI's and Anthropic's clients too."""
    return msgspec.json.encode({"type": "error", "error": what, "meta": {}})


def retry_after(error: LegionError) -> tuple[tuple[str, str], ...]:
    """The headers that tell a client's library when to try again, or that it is of no use.

    Without `x-should-retry: false` the official libraries ask twice more after any 429 and 5xx.
    """
    if isinstance(error, _FINAL):
        return (("x-should-retry", "false"),)
    if isinstance(error, errors.Unavailable) and error.retry_after_s is not None:
        return (("retry-after", str(max(1, math.ceil(error.retry_after_s)))),)
    return ()


def unexpected(error: BaseException, ids: Ids) -> errors.Bug:
    """Log a failure nobody foresaw under a fresh id, secrets masked, and give the error that may be shown."""
    number = ids.new("err")
    trace = "".join(traceback.format_exception(error))
    log.error("%s: an unforeseen failure\n%s", number, redact(trace))
    return errors.Bug(
        f"Something broke inside the workbench ({number}).", hint="The log has the details under this id."
    )
