"""Strips secrets from anything that may be logged, shown or exported."""

import logging
import re

MASK = "…redacted…"

_PATTERNS = (
    re.compile(r"(?i)(?<=bearer )[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"(?i)((?:x-)?(?:goog-)?api[-_ ]?key[\"']?\s*[:=]\s*[\"']?)[^\s\"'&,}]{4,}"),
    re.compile(r"(?<=[?&]key=)[^&\s]+"),
    re.compile(r"\bsk-[A-Za-z0-9_-]{8,}"),
    re.compile(r"\bAIza[0-9A-Za-z_-]{20,}"),
    re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    re.compile(r"(?<=://)[^/\s:@]*:[^\s]+(?=@)"),
    re.compile(r"\blgn_[0-9A-Za-z]{16,}"),
)


def redact(text: str, known: tuple[str, ...] = ()) -> str:
    """`text` with keys, tokens and passwords masked; `known` are secrets held now, masked verbatim."""
    for secret in sorted(known, key=len, reverse=True):
        if len(secret) >= 4:
            text = text.replace(secret, MASK)
    for pattern in _PATTERNS:
        text = pattern.sub(lambda match: (match.group(1) if match.groups() else "") + MASK, text)
    return text


class RedactingFilter(logging.Filter):
    """Masks secrets in every record of the handler it sits on."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the message; never drops a record."""
        record.msg = redact(record.getMessage())
        record.args = ()
        return True
