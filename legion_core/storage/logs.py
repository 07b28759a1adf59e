"""The node's own log: a file that cannot grow without end and never holds a secret."""

import logging
import logging.handlers
import re
from collections.abc import Callable
from pathlib import Path

from legion_core.kernel.redact import redact

FILE_BYTES_MAX = 1_000_000
FILES_KEPT = 3
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


# Control characters and the marks that turn text around: a message must not look like two, or like another.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class _Redacting(logging.Formatter):
    """One line for each message, whatever is in it; masks secrets in the whole text, tracebacks included."""

    def __init__(self, known: Callable[[], tuple[str, ...]]) -> None:
        super().__init__(FORMAT)
        self._known = known

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = _UNPRINTABLE.sub(lambda found: f"\\x{ord(found[0]):02x}", record.message)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record), self._known())


def open_log(directory: Path, level: str, known: Callable[[], tuple[str, ...]]) -> Callable[[], None]:
    """Write what `legion.*` logs to `directory`/legion.log, at most 4 MB of it; call the result to close it.

    `known` gives the secrets held now, which are masked wherever they turn up. Blocks on the disk.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(
        directory / "legion.log", maxBytes=FILE_BYTES_MAX, backupCount=FILES_KEPT, encoding="utf-8"
    )
    handler.setFormatter(_Redacting(known))
    logger = logging.getLogger("legion")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level.upper())

    def close() -> None:
        logger.removeHandler(handler)
        logger.setLevel(before)
        handler.close()

    return close
