"""A warning or worse in the log that no one announced fails the test.

A test that provokes one says so: `allow_log("text or pattern")`, as a fixture or as a marker.
"""

import logging
import re
from collections.abc import Callable, Iterator

import pytest

AllowLog = Callable[[str], None]


class _Collector(logging.Handler):
    """Keeps the records of one test; bounded by the test's own length."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def unexpected(records: list[logging.LogRecord], allowed: list[str]) -> list[str]:
    """One line for each record no pattern allows; a pattern is searched in `logger: message`."""
    lines = [f"{record.name}: {record.levelname}: {record.getMessage()}" for record in records]
    return [line for line in lines if not any(re.search(pattern, line) for pattern in allowed)]


@pytest.fixture(autouse=True)
def allow_log(request: pytest.FixtureRequest) -> Iterator[AllowLog]:
    """Call with a regular expression to allow matching warnings and errors in this test's log."""
    allowed = [str(pattern) for mark in request.node.iter_markers("allow_log") for pattern in mark.args]
    collector = _Collector()
    root, ours = logging.getLogger(), logging.getLogger("legion")
    level = ours.level
    root.addHandler(collector)
    yield allowed.append
    root.removeHandler(collector)
    if ours.level != level:  # setting it forgets what every logger knew
        ours.setLevel(level)  # a node or a command under test sets it; the next test starts from the same
    if lines := unexpected(collector.records, allowed):
        pytest.fail("unannounced in the log:\n" + "\n".join(lines), pytrace=False)
