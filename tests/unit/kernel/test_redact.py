"""What looks like a key never gets past the masking."""

import logging
import random
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from legion_core.kernel.redact import MASK, RedactingFilter, redact

LETTERS = string.ascii_letters + string.digits


def secret(length: int, seed: int = 1) -> str:
    return "".join(random.Random(seed).choices(LETTERS, k=length))


@pytest.mark.parametrize(
    ("before", "key", "after"),
    [
        ("Authorization: Bearer ", secret(40), ""),
        ("authorization: bearer ", secret(40), "\r\n"),
        ("x-api-key: ", secret(30), ""),
        ("x-goog-api-key: ", secret(39), ""),
        ('{"api_key": "', secret(30), '", "model": "m"}'),
        ("{'apiKey': '", secret(30), "'}"),
        ("GET /v1beta/models?key=", secret(39), "&alt=sse"),
        ("found ", "sk-" + secret(48), " in the file"),
        ("found ", "sk-ant-api03-" + secret(40), "."),
        ("", "AIza" + secret(35), ""),
        ("", "AKIA" + "ABCDEFGHIJKLMNOP", ""),
        ("amqp://", "user:" + secret(20), "@broker:5672/vhost"),
        ("token ", "lgn_" + secret(43), " ends"),
    ],
)
def test_each_kind_of_key_is_masked_and_the_words_around_it_stay(before: str, key: str, after: str) -> None:
    text = redact(before + key + after)
    assert key not in text
    assert key[-12:] not in text
    assert MASK in text
    assert text.startswith(before)
    assert text.endswith(after)


@pytest.mark.parametrize(
    "text",
    [
        "The model answered in 3.2 s with 120 tokens.",
        "http://127.0.0.1:4567/healthz",
        "keyring://anthropic and env://OPENAI_KEY are references",
        "task-sketch, risk-averse, desk-lamp",
    ],
)
def test_ordinary_words_are_left_alone(text: str) -> None:
    assert redact(text) == text


@given(
    st.lists(st.text(st.sampled_from("abcdef"), min_size=4, max_size=12), min_size=1, max_size=4),
    st.text("xyz ", max_size=20),
)
def test_secrets_held_now_are_masked_wherever_they_stand(held: list[str], words: str) -> None:
    text = words.join([words, *held, words])
    masked = redact(text, tuple(held))
    assert all(each not in masked.replace(MASK, "\0") for each in held)


@given(st.text(max_size=200))
@example(f"Bearer {secret(30)}")
def test_masking_twice_changes_nothing_more(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


def test_the_filter_masks_arguments_too_and_drops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("test.redact")
    key = "sk-" + secret(48)
    masking = RedactingFilter()
    log.addFilter(masking)
    try:
        with caplog.at_level(logging.INFO, logger="test.redact"):
            log.info("key %s for %d", key, 7)
    finally:
        log.removeFilter(masking)
    assert key not in caplog.text
    assert f"key {MASK} for 7" in caplog.text


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("amqp://user:pass@word@host/v", "word@host"),
        ("amqp://:only-a-password@host", "only-a-password"),
        ("postgres://user:pass/word@host", "pass/word"),
    ],
)
def test_a_password_in_an_address_is_masked_whatever_its_letters(text: str, key: str) -> None:
    assert key not in redact(text)


def test_of_two_secrets_that_begin_alike_nothing_is_left() -> None:
    assert redact("key abcd-efgh", ("abcd", "abcd-efgh")) == f"key {MASK}"
