"""Runs one function once: on the loop, in a thread, or in a process of its own; bounded in time, stoppable, named.

Nothing a function does comes out of here but an Outcome; only the cancellation of the run itself does.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from legion_core.engine.cpu import CpuPool
from legion_core.engine.extension import Context
from legion_core.engine.reasons import because
from legion_core.engine.registry import Function
from legion_core.engine.types import Reason
from legion_core.kernel.errors import LegionError, RateLimited
from legion_core.storage.calls import Call

RESULT_BYTES_MAX = 1 << 20
WORDS_MAX = 2_000  # characters kept of what a function raised

_encode = msgspec.json.Encoder(decimal_format="string").encode


@dataclass(frozen=True, slots=True)
class Returned:
    """It returned; `result` is JSON."""

    result: bytes


@dataclass(frozen=True, slots=True)
class Raised:
    """It did not. `may_retry` False: the same would happen again."""

    reason: Reason
    what: str
    may_retry: bool = True
    retry_after_s: float | None = None


Outcome: TypeAlias = Returned | Raised


class Runner:
    """Calls functions. `on_thread_free` is told when a thread that outlived its time-out ends after all."""

    def __init__(self, cpu: CpuPool, on_thread_free: Callable[[], None]) -> None:
        self._cpu = cpu
        self._on_thread_free = on_thread_free
        self.stuck = 0  # threads whose call was given up and that still work

    async def run(self, function: Function, args: bytes, context: Context, timeout_s: float) -> Outcome:
        """What became of one call. A thread past its time cannot be ended: it is left behind, and its place stays taken."""
        limit = asyncio.timeout(timeout_s)
        try:
            keywords = function.signature.read(args)
            if function.signature.context:
                keywords[function.signature.context] = context
            async with limit:
                result = await self._call(function, args, keywords, context)
        except LegionError as error:
            return _refused(error)
        except TimeoutError as error:
            if limit.expired():
                return Raised(because("task.timed_out", timeout_s=timeout_s), f"no end within {timeout_s} s")
            return _raised(error)
        except Exception as error:  # noqa: BLE001 - the wall around strangers' code
            return _raised(error)
        return _returned(result)

    async def _call(self, function: Function, args: bytes, keywords: dict[str, Any], context: Context) -> Any:
        match function.pool:
            case "loop":
                work: Callable[..., Awaitable[Any]] = function.call
                return await work(**keywords)
            case "thread":
                return await self._in_thread(function, keywords)
            case "cpu":
                return await self._cpu.run(function, args, context)

    async def _in_thread(self, function: Function, keywords: dict[str, Any]) -> Any:
        def work() -> Any:
            try:
                return function.call(**keywords)
            except StopIteration as error:
                raise RuntimeError("the function raised StopIteration") from error
            except (SystemExit, KeyboardInterrupt) as error:
                raise RuntimeError(f"the function raised {type(error).__name__}") from error

        call = Call(f"legion-task {function.name}", work)
        try:
            return await asyncio.shield(call.future)
        except BaseException:
            if not call.future.done():
                self.stuck += 1
                call.future.add_done_callback(self._thread_freed)
            raise

    def _thread_freed(self, future: "asyncio.Future[Any]") -> None:
        if not future.cancelled():
            future.exception()  # seen: nobody waits for it
        self.stuck -= 1
        self._on_thread_free()


def _returned(result: Any) -> Outcome:
    if isinstance(result, msgspec.Raw):
        encoded = bytes(result)
    else:
        try:
            encoded = _encode(result)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            return Raised(because("task.result_not_json", what=str(error)), str(error), may_retry=False)
    if len(encoded) > RESULT_BYTES_MAX:
        reason = because("task.result_too_large", size_bytes=len(encoded), limit_bytes=RESULT_BYTES_MAX)
        return Raised(reason, "the result is too large", may_retry=False)
    return Returned(encoded)


def _refused(error: LegionError) -> Raised:
    """One of our own errors says itself whether trying again makes sense."""
    what = error.sentence()[:WORDS_MAX]
    after_s = error.retry_after_s if isinstance(error, RateLimited) else None
    reason = getattr(error, "reason", None)  # an error may bring its entry of the catalogue with it
    if not isinstance(reason, Reason):
        reason = Reason(code="task.raised", sentence=what, facts={"what": what, "error": error.public_code})
    return Raised(reason, what, may_retry=error.retry != "never", retry_after_s=after_s)


def _raised(error: BaseException) -> Raised:
    what = f"{type(error).__name__}: {error}"[:WORDS_MAX]
    reason = Reason(code="task.raised", sentence=what, facts={"what": what, "error": type(error).__name__})
    return Raised(reason, what)
