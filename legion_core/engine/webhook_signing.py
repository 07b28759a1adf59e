"""Pure: whether a delivery is signed by who knows the secret, in the ways that senders in the field sign.

| scheme | headers | what is signed, HMAC-SHA256 | a delivery is known by |
|---|---|---|---|
| standard | `webhook-id`, `webhook-timestamp`, `webhook-signature: v1,BASE64` | `ID.TIMESTAMP.BODY` | its id |
| github | `x-hub-signature-256: sha256=HEX` | `BODY` | its body |
| stripe | `stripe-signature: t=TIMESTAMP,v1=HEX` | `TIMESTAMP.BODY` | its body |
| slack | `x-slack-request-timestamp`, `x-slack-signature: v0=HEX` | `v0:TIMESTAMP:BODY` | its body |

What is not signed proves nothing: where the sender's own id stands outside of the signature, the body is the id.
Sources: standardwebhooks.com; the senders' own pages on verifying.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from legion_core.engine.webhook_types import Scheme

PREFIX = "whsec_"  # Standard Webhooks: the rest is base64
SIGNATURES_MAX = 10
_DIGITS_MAX = 12
_SIGNED_BY: Mapping[str, Scheme] = {
    "webhook-signature": "standard",
    "x-hub-signature-256": "github",
    "stripe-signature": "stripe",
    "x-slack-signature": "slack",
}


@dataclass(frozen=True, slots=True)
class Proof:
    """A signature that fits: the delivery's own id, and how long ago it was signed (0 where that is not said)."""

    delivery: str
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Claim:
    signatures: tuple[bytes, ...]
    signed: bytes
    delivery: str
    at_s: int | None


def verify(
    scheme: Scheme, secret: str, headers: Mapping[str, str], body: bytes, now_s: float
) -> Proof | None:
    """The proof, or None. `headers` are in lower case; every comparison takes the same time whatever it finds."""
    named: list[Scheme] = [kind for header, kind in _SIGNED_BY.items() if header in headers]
    if len(named) != 1 or (scheme not in ("any", named[0])):
        return None
    claim = _claim(named[0], headers, body)
    if claim is None:
        return None
    wanted = hmac.digest(_key(named[0], secret), claim.signed, hashlib.sha256)
    fits = False
    for signature in claim.signatures[:SIGNATURES_MAX]:
        fits |= hmac.compare_digest(signature, wanted)
    if not fits:
        return None
    return Proof(claim.delivery, 0.0 if claim.at_s is None else now_s - claim.at_s)


def sign(secret: str, delivery: str, at_s: int, body: bytes) -> dict[str, str]:
    """The headers of the scheme `standard`, for a sender."""
    signed = f"{delivery}.{at_s}.".encode() + body
    digest = hmac.digest(_key("standard", secret), signed, hashlib.sha256)
    return {
        "webhook-id": delivery,
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode('ascii')}",
    }


def _key(scheme: Scheme, secret: str) -> bytes:
    if scheme == "standard" and secret.startswith(PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except binascii.Error:
            return secret.encode()
    return secret.encode()


def _claim(scheme: Scheme, headers: Mapping[str, str], body: bytes) -> _Claim | None:
    match scheme:
        case "standard":
            name, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
            if not name or len(name) > 200 or not name.isprintable() or (at_s := _seconds(at)) is None:
                return None
            words = [word.partition(",") for word in headers["webhook-signature"].split()]
            found = tuple(_base64(text) for version, _, text in words if version == "v1")
            return _Claim(found, f"{name}.{at}.".encode() + body, name, at_s)
        case "github":
            kind, _, text = headers["x-hub-signature-256"].partition("=")
            return _Claim((_hex(text),), body, _of(body), None) if kind == "sha256" else None
        case "stripe":
            pairs = [word.partition("=") for word in headers["stripe-signature"].split(",")]
            dates = [value for name, _, value in pairs if name.strip() == "t"]
            if len(dates) != 1 or (at_s := _seconds(dates[0])) is None:
                return None
            found = tuple(_hex(value) for name, _, value in pairs if name.strip() == "v1")
            return _Claim(found, f"{dates[0]}.".encode() + body, _of(body), at_s)
        case _:
            at = headers.get("x-slack-request-timestamp", "")
            kind, _, text = headers["x-slack-signature"].partition("=")
            if kind != "v0" or (at_s := _seconds(at)) is None:
                return None
            return _Claim((_hex(text),), f"v0:{at}:".encode() + body, _of(body), at_s)


def _of(body: bytes) -> str:
    return f"body-{hashlib.sha256(body).hexdigest()[:40]}"


def _seconds(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MAX else None


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
