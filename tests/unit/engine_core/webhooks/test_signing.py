"""A delivery is taken if it is signed as its sender says it signs, and by nothing else."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.engine.webhook_signing import PREFIX, sign, verify

SECRET = "a secret"
BODY = b'{"event": "pushed"}'
NOW = 1_700_000_000.0


def hexed(content: bytes) -> str:
    return hmac.new(SECRET.encode(), content, hashlib.sha256).hexdigest()


GITHUB = {"x-hub-signature-256": f"sha256={hexed(BODY)}", "x-github-delivery": "72d3162e"}
STRIPE = {"stripe-signature": f"t=1700000000,v1={'0' * 64},v1={hexed(b'1700000000.' + BODY)}"}
SLACK = {
    "x-slack-request-timestamp": "1700000000",
    "x-slack-signature": f"v0={hexed(b'v0:1700000000:' + BODY)}",
}
STANDARD = sign(SECRET, "msg_1", 1_700_000_000, BODY)


@pytest.mark.parametrize(
    ("scheme", "headers"),
    [("github", GITHUB), ("stripe", STRIPE), ("slack", SLACK), ("standard", STANDARD)],
)
def test_each_scheme_is_read_as_its_sender_writes_it_and_only_where_it_is_wanted(
    scheme: str, headers: dict[str, str]
) -> None:
    assert verify(scheme, SECRET, headers, BODY, NOW) is not None
    assert verify("any", SECRET, headers, BODY, NOW) is not None
    assert verify("any", "another", headers, BODY, NOW) is None
    assert verify("any", SECRET, headers, BODY + b" ", NOW) is None
    for other in {"github", "stripe", "slack", "standard"} - {scheme}:
        assert verify(other, SECRET, headers, BODY, NOW) is None


def test_the_example_of_the_specification_holds() -> None:
    # standardwebhooks.com, the reference implementations' test vector
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    proof = verify(
        "standard", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", headers, b'{"test": 2432232314}', 1614265330.0
    )
    assert proof is not None
    assert (proof.delivery, proof.age_s) == ("msg_p5jXN8AQM9LWM0D4loKWxJek", 0.0)


def test_the_age_is_what_was_signed_and_an_unsigned_id_is_not_believed() -> None:
    proof = verify("any", SECRET, STANDARD, BODY, NOW + 60)
    assert proof is not None
    assert proof.age_s == 60
    renamed = {**STANDARD, "webhook-id": "msg_2"}
    assert verify("any", SECRET, renamed, BODY, NOW) is None
    late = {**STANDARD, "webhook-timestamp": "1700000300"}
    assert verify("any", SECRET, late, BODY, NOW) is None
    first = verify("any", SECRET, GITHUB, BODY, NOW)
    second = verify("any", SECRET, {**GITHUB, "x-github-delivery": "another"}, BODY, NOW)
    assert first == second


def test_two_signatures_of_two_kinds_are_one_too_many() -> None:
    assert verify("any", SECRET, {**GITHUB, **STANDARD}, BODY, NOW) is None
    assert verify("any", SECRET, {}, BODY, NOW) is None


def test_a_secret_with_a_prefix_is_base64_and_a_rolled_one_may_sign_beside_the_old() -> None:
    key = base64.b64encode(b"k" * 32).decode()
    headers = sign(PREFIX + key, "msg_1", 1_700_000_000, BODY)
    assert verify("any", PREFIX + key, headers, BODY, NOW) is not None
    both = {**headers, "webhook-signature": f"v1,AAAA v2,x {headers['webhook-signature']}"}
    assert verify("any", PREFIX + key, both, BODY, NOW) is not None
    assert verify("any", f"{PREFIX}not base64!", headers, BODY, NOW) is None


_NAMES = st.sampled_from([*GITHUB, *STRIPE, *SLACK, *STANDARD])


@given(st.dictionaries(_NAMES, st.text(max_size=60)), st.binary(max_size=40))
def test_headers_of_any_kind_prove_nothing_and_raise_nothing(headers: dict[str, str], body: bytes) -> None:
    assert verify("any", SECRET, headers, body, NOW) is None
