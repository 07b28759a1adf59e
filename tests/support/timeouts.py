"""`asyncio.timeout` as it was up to Python 3.11.2, which Debian 12 has, on any Python."""

import asyncio

import pytest


class OldTimeout(asyncio.Timeout):
    """In a task that was cancelled before, its end is CancelledError and not TimeoutError (gh-102780)."""

    async def __aexit__(self, *told: object) -> bool | None:
        try:
            return await super().__aexit__(*told)
        except TimeoutError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                return None  # what was raised inside goes on
            raise


@pytest.fixture
def old_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every `asyncio.timeout` of the test is one of those."""

    def timeout(delay: float | None) -> asyncio.Timeout:
        return OldTimeout(None if delay is None else asyncio.get_running_loop().time() + delay)

    monkeypatch.setattr(asyncio, "timeout", timeout)
