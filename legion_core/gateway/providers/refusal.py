"""What a provider's error answer means: HTTP status, headers and body in, one of our errors out. Pure.

Every wire here answers errors as JSON with a message somewhere in it; what differs is only where, so one reader serves
all of them.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, cast

import msgspec

from legion_core.kernel.errors import (
    BadCredentials,
    ContextTooLong,
    Filtered,
    Malformed,
    Overloaded,
    ProviderError,
    RateLimited,
    Refused,
    StreamBroken,
    TimedOut,
    Unavailable,
)
from legion_core.kernel.redact import redact

RETRY_AFTER_MAX_S: Final = 3600.0
MESSAGE_MAX: Final = 4000  # characters of it that are looked at
QUOTE_MAX: Final = 300  # characters of a provider's words that are passed on

_DURATION = re.compile(
    r"(\d+(?:\.\d+)?)\s*(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hours?)(?![a-z])", re.IGNORECASE
)
_TRY_AGAIN = re.compile(
    r"(?:try again|retry|wait)\D{0,24}((?:\d+(?:\.\d+)?\s*(?:ms|[a-z]+)\s*)+)", re.IGNORECASE
)
_CONTEXT = re.compile(
    r"context.{0,12}(?:length|window|size|limit)|prompt is too long|too many (?:input )?tokens|exceed_context"
    r"|maximum.{0,20}tokens.{0,40}(?:requested|exceed)|token count.{0,40}exceeds the maximum|input is too long",
    re.IGNORECASE,
)
_LIMIT = re.compile(
    r"(?:maximum|limit|available)[^\d]{0,60}?(?P<before>\d[\d,]*)|(?P<after>\d[\d,]*)(?: tokens?)? maximum",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"(?:requested|too long|request|resulted in|has|contains|token count)\W{0,4}(\d[\d,]*)", re.IGNORECASE
)
_HTML_TAG = re.compile(r"<[^>]{0,400}>")


def refusal(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    who: str,
    now: datetime,
    secrets: tuple[str, ...] = (),
) -> ProviderError:
    """The error an HTTP answer other than 2xx stands for. `headers` have lower-case names; `who` names the instance."""
    code, message, payload = _read(body)
    quoted = quote(message, secrets)
    if 300 <= status < 400:
        return Malformed(
            f"{who} answered with a redirection ({status}), which is never followed.",
            hint="Give the final one as its address (base_url).",
        )
    if status == 429 and code in {"insufficient_quota", "billing_error", "billing_hard_limit_reached"}:
        return Refused(f"{who} refused: {quoted}", hint="Check the account's plan and billing.")
    if status == 429:
        return RateLimited(
            f"{who} asks for a pause: {quoted}", retry_after_s=retry_after_s(headers, payload, now)
        )
    return _by_status(status, f"{who} answered {status}: {quoted}") or named_error(
        code,
        message,
        f"{who} answered {status}: {quoted}",
        default=_not_understood if status < 500 else Unavailable,
    )


def _not_understood(sentence: str) -> ProviderError:
    return Malformed(sentence, is_request=True)


def _by_status(status: int, sentence: str) -> ProviderError | None:
    match status:
        case 401 | 403:
            return BadCredentials(sentence, hint="Check this instance's API key.")
        case 402:
            return Refused(sentence, hint="Check the account's plan and billing.")
        case 404:
            return Refused(sentence, hint="Check the model's name and the address (base_url).")
        case 408 | 504:
            return TimedOut(sentence)
        case 424:  # Bedrock: the model behind it failed
            return Unavailable(sentence)
        case 503 | 529:
            return Overloaded(sentence)
        case _:
            return None


def named_error(
    code: str, message: str, sentence: str, *, default: Callable[[str], ProviderError]
) -> ProviderError:
    """The error a provider names in its body, in or out of a stream; `default` where it names none we know."""
    if code in {"context_length_exceeded", "exceed_context_size_error"} or _CONTEXT.search(message):
        return context_too_long(message, sentence)
    match code:
        case "overloaded_error" | "overloaded" | "engine_overloaded" | "slow_down" | "UNAVAILABLE":
            return Overloaded(sentence)
        case "rate_limit_error" | "rate_limit_exceeded" | "requests" | "tokens" | "RESOURCE_EXHAUSTED":
            return RateLimited(sentence, retry_after_s=_spoken_wait_s(message))
        case "timeout_error" | "timeout" | "DEADLINE_EXCEEDED":
            return TimedOut(sentence)
        case "content_filter" | "content_policy_violation" | "refusal":
            return Filtered(sentence)
        case (
            "authentication_error"
            | "permission_error"
            | "invalid_api_key"
            | "UNAUTHENTICATED"
            | "PERMISSION_DENIED"
            | "API_KEY_INVALID"
        ):
            return BadCredentials(sentence, hint="Check this instance's API key.")
        case (
            "insufficient_quota"
            | "billing_error"
            | "request_too_large"
            | "model_not_found"
            | "not_found_error"
            | "NOT_FOUND"
            | "FAILED_PRECONDITION"
        ):
            return Refused(sentence)
        case "api_error" | "server_error" | "internal_server_error" | "internal_error" | "INTERNAL":
            return Unavailable(sentence)
        case "invalid_request_error" | "INVALID_ARGUMENT":
            return _not_understood(sentence)
        case _:
            return default(sentence)


def in_band(payload: Any, *, who: str, secrets: tuple[str, ...] = ()) -> ProviderError:
    """The error a provider reports inside a stream that had begun well; `payload` is the value of its `error` field."""
    code, message, _ = _parts(payload)
    return named_error(code, message, f"{who} broke off: {quote(message, secrets)}", default=StreamBroken)


def context_too_long(message: str, sentence: str) -> ContextTooLong:
    """`limit` and `asked` are read from the provider's words where they name them, else 0."""
    limit, asked = _LIMIT.search(message), _ASKED.search(message)
    return ContextTooLong(
        sentence,
        limit=_count(limit["after"] or limit["before"]) if limit else 0,
        asked=_count(asked[1]) if asked else 0,
    )


def _count(digits: str) -> int:
    return int(digits.replace(",", "")[:12] or "0")


def retry_after_s(headers: Mapping[str, str], payload: Any, now: datetime) -> float | None:
    """The pause asked for, in seconds, at most `RETRY_AFTER_MAX_S`; None if the provider names none.

    Read in this order: `retry-after-ms`, `retry-after` (seconds or an HTTP date), `retryDelay` and the words of the body,
    the reset of the limit that is used up.
    """
    if (milliseconds := _number(headers.get("retry-after-ms", ""))) is not None:
        return _capped(milliseconds / 1000)
    told = headers.get("retry-after", "").strip()
    if (seconds := _number(told)) is not None:
        return _capped(seconds)
    if told:
        from email.utils import parsedate_to_datetime

        try:
            moment = parsedate_to_datetime(told)
            return _capped((moment - now).total_seconds())
        except (ValueError, TypeError):
            pass
    _, message, _ = _parts(payload)
    delay = _find(payload, "retryDelay")
    if isinstance(delay, str) and (seconds := _duration_s(delay)) is not None:
        return _capped(seconds)
    if (seconds := _spoken_wait_s(message)) is not None:
        return seconds
    for kind in ("requests", "tokens"):
        if headers.get(f"x-ratelimit-remaining-{kind}", "").strip() == "0":
            reset = _duration_s(headers.get(f"x-ratelimit-reset-{kind}", ""))
            return None if reset is None else _capped(reset)
    return None


def quote(message: str, secrets: tuple[str, ...] = ()) -> str:
    """A provider's words, fit to be shown: one line, shortened, without markup and without secrets."""
    plain = " ".join(redact(_HTML_TAG.sub(" ", message), secrets).split())
    return plain if len(plain) <= QUOTE_MAX else plain[: QUOTE_MAX - 1] + "…"


def _read(body: bytes) -> tuple[str, str, Any]:
    try:
        payload = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        text = body.decode("utf-8", "replace").strip()
        return "", text[:MESSAGE_MAX] or "(an empty body)", None
    return _parts(payload)


def _parts(payload: Any) -> tuple[str, str, Any]:
    """Code, message and whole of an error's JSON, wherever the wire keeps them."""
    code, message = _code_and_message(payload)
    return code, message[:MESSAGE_MAX], payload


def _code_and_message(payload: Any) -> tuple[str, str]:
    inner = payload
    if isinstance(inner, list) and inner:
        inner = cast("list[Any]", inner)[0]
    if isinstance(inner, dict) and "error" in inner:
        inner = cast("dict[str, Any]", inner)["error"]
    if isinstance(inner, str):
        return "", inner
    if not isinstance(inner, dict):
        return "", msgspec.json.encode(payload).decode("utf-8", "replace")
    fields = cast("dict[str, Any]", inner)
    message = next(
        (fields[name] for name in ("message", "detail", "error", "msg") if isinstance(fields.get(name), str)),
        "",
    )
    codes = [fields.get("code"), fields.get("type"), fields.get("status")]
    code = next((code for code in codes if isinstance(code, str) and code != "error"), "")
    if code == "INVALID_ARGUMENT" and _find(fields.get("details"), "reason") == "API_KEY_INVALID":
        code = "API_KEY_INVALID"  # Google answers a wrong key with 400
    return code, message or msgspec.json.encode(inner).decode("utf-8", "replace")


def _find(value: Any, name: str, depth: int = 6) -> object:
    """The first value under `name` anywhere in a small JSON value."""
    if depth == 0:
        return None
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        if name in fields:
            return fields[name]
        return next(
            (hit for item in fields.values() if (hit := _find(item, name, depth - 1)) is not None), None
        )
    if isinstance(value, list):
        items = cast("list[Any]", value)[:50]
        return next((hit for item in items if (hit := _find(item, name, depth - 1)) is not None), None)
    return None


def _spoken_wait_s(message: str) -> float | None:
    match = _TRY_AGAIN.search(message)
    seconds = _duration_s(match[1]) if match else None
    return None if seconds is None else _capped(seconds)


def _duration_s(text: str) -> float | None:
    units = {"h": 3600.0, "m": 60.0, "s": 1.0}
    parts = _DURATION.findall(text[:100])
    if not parts:
        return None
    return sum(
        float(number) * (0.001 if unit.lower().startswith(("ms", "milli")) else units[unit[0].lower()])
        for number, unit in parts
    )


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\s*-?\d{1,12}(?:\.\d{1,9})?\s*", text, re.ASCII) else None


def _capped(seconds: float) -> float:
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_S)
