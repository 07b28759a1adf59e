"""What a provider's error answer means. Table from the catalogue of faults: F54, F55, F56, F64."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.gateway.providers.refusal import QUOTE_MAX, RETRY_AFTER_MAX_S, in_band, quote, refusal
from legion_core.kernel.errors import (
    BadCredentials,
    ContextTooLong,
    Filtered,
    LegionError,
    Malformed,
    Overloaded,
    ProviderError,
    RateLimited,
    Refused,
    StreamBroken,
    TimedOut,
    Unavailable,
)

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def told(status: int, body: Any = "", **headers: str) -> ProviderError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return refusal(status, names, raw, who="box", now=NOW, secrets=("hunter2hunter2",))


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": {"message": "no", "type": "invalid_request_error"}}, Malformed),
        (400, {"error": {"message": "x", "code": "context_length_exceeded"}}, ContextTooLong),
        (400, {"error": {"message": "x", "code": "content_filter"}}, Filtered),
        (401, {"error": {"message": "bad key"}}, BadCredentials),
        (402, {"error": {"message": "pay"}}, Refused),
        (403, {}, BadCredentials),
        (404, {"error": "model 'x' not found"}, Refused),
        (408, b"", TimedOut),
        (413, {"type": "error", "error": {"type": "request_too_large", "message": "x"}}, Refused),
        (422, {"detail": [{"msg": "field required"}]}, Malformed),
        (429, {"error": {"message": "slow", "type": "requests"}}, RateLimited),
        (429, {"error": {"message": "pay", "code": "insufficient_quota"}}, Refused),
        (500, {"error": {"message": "oops", "type": "server_error"}}, Unavailable),
        (500, b"<html>oops</html>", Unavailable),
        (502, b"", Unavailable),
        (503, {"error": {"message": "loading model"}}, Overloaded),
        (504, b"", TimedOut),
        (529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, Overloaded),
        (302, b"", Malformed),
        (418, b"teapot", Malformed),
    ],
)
def test_a_status_and_its_body_name_the_error(status: int, body: Any, kind: type[LegionError]) -> None:
    error = told(status, body)
    assert type(error) is kind
    assert "box" in error.message


@pytest.mark.parametrize(
    ("message", "limit", "asked"),
    [
        ("prompt is too long: 210000 tokens > 200000 maximum", 200000, 210000),
        (
            "The model's maximum context length is 4096 tokens. However, you requested 5000 tokens (100 for the answer).",
            4096,
            5000,
        ),
        (
            "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
            4096,
            5000,
        ),
        ("the input length exceeds the context length", 0, 0),
    ],
)
def test_a_context_that_is_too_long_is_told_with_its_numbers(message: str, limit: int, asked: int) -> None:
    error = told(400, {"error": {"message": message, "type": "invalid_request_error"}})
    assert isinstance(error, ContextTooLong)
    assert (error.limit, error.asked) == (limit, asked)


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry_after": "20"}, {}, 20.0),
        ({"retry_after": "0.5"}, {}, 0.5),
        ({"retry_after": "-3"}, {}, 0.0),
        ({"retry_after": "999999"}, {}, RETRY_AFTER_MAX_S),
        ({"retry_after": format_datetime(NOW + timedelta(seconds=42), usegmt=True)}, {}, 42.0),
        ({"retry_after": format_datetime(NOW - timedelta(seconds=42), usegmt=True)}, {}, 0.0),
        ({"retry_after": "soon"}, {}, None),
        ({"retry_after_ms": "1500", "retry_after": "20"}, {}, 1.5),
        ({}, {"error": {"message": "Please try again in 20s."}}, 20.0),
        ({}, {"error": {"message": "Please try again in 1m30.5s."}}, 90.5),
        ({}, {"error": {"message": "Please try again in 120ms."}}, 0.12),
        ({}, {"error": {"message": "wait 2 minutes"}}, 120.0),
        ({}, {"error": {"details": [{"@type": "RetryInfo", "retryDelay": "31s"}]}}, 31.0),
        ({"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "6m0s"}, {}, 360.0),
        ({"x_ratelimit_remaining_requests": "5", "x_ratelimit_reset_requests": "6m0s"}, {}, None),
        ({}, {}, None),
        ({}, b"\xff\xfe", None),
    ],
)
def test_the_pause_asked_for_is_read_wherever_it_stands(
    headers: Any, body: Any, seconds: float | None
) -> None:
    error = told(429, body, **headers)
    assert isinstance(error, RateLimited)
    assert (
        error.retry_after_s == pytest.approx(seconds) if seconds is not None else error.retry_after_s is None
    )


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, Overloaded),
        ({"type": "rate_limit_error", "message": "x"}, RateLimited),
        ({"type": "api_error", "message": "x"}, Unavailable),
        ({"type": "server_error", "message": "x"}, Unavailable),
        ({"code": "content_filter", "message": "x"}, Filtered),
        ({"message": "something else"}, StreamBroken),
        ("out of memory", StreamBroken),
        ({"code": 500, "message": "llama died", "type": "server_error"}, Unavailable),
        (None, StreamBroken),
        (17, StreamBroken),
    ],
)
def test_an_error_inside_a_stream_is_told_by_its_name(payload: Any, kind: type[LegionError]) -> None:
    assert type(in_band(payload, who="box")) is kind


def test_no_secret_and_no_markup_is_quoted() -> None:
    said = "<html><body>Bearer abcdefghijkl is wrong, hunter2hunter2 too\n\n" + "x" * 1000
    quoted = quote(said, ("hunter2hunter2",))
    assert "hunter2" not in quoted
    assert "abcdefghijkl" not in quoted
    assert "<" not in quoted
    assert "\n" not in quoted
    assert len(quoted) == QUOTE_MAX


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "type", "detail", "retryDelay", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(
    st.integers(300, 599),
    JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40),
    st.dictionaries(
        st.sampled_from(
            ["retry-after", "retry-after-ms", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"]
        ),
        st.text(max_size=12),
    ),
)
def test_any_answer_is_one_of_our_errors(status: int, body: bytes, headers: dict[str, str]) -> None:
    error = refusal(status, headers, body, who="box", now=NOW)
    assert isinstance(error, ProviderError)
    assert len(error.message) < QUOTE_MAX + 100
    if isinstance(error, RateLimited) and error.retry_after_s is not None:
        assert 0 <= error.retry_after_s <= RETRY_AFTER_MAX_S
