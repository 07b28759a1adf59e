"""Chunks that come while their reader waits: passed on at once, or kept for it, and always in order."""

import asyncio
from collections.abc import Callable, Sequence
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.gateway.providers import chunks
from legion_core.gateway.providers.chunks import Chunks
from legion_core.gateway.providers.line import LineError, Tap
from legion_core.gateway.providers.sse import JsonLines
from legion_core.gateway.types import Chunk, Finished, TextDelta, Usage
from legion_core.kernel.errors import LegionError, Overloaded, StreamBroken
from tests.support.aio import run

END = Finished(stop_reason="end_turn", usage=Usage())


class Body:
    """An exchange whose pieces a test brings: `come` as a socket would, in a callback."""

    status = 200
    headers = MappingProxyType[str, str]({})

    def __init__(self) -> None:
        self._pieces = list[bytes]()
        self._tap: Tap | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._is_over = False
        self.until_s = 0.0
        self.woken = 0

    @property
    def is_whole(self) -> bool:
        return self._is_over

    async def next(self, until_s: float, tap: Tap | None = None) -> bytes | None:
        while not self._pieces:
            if self._is_over:
                return None
            self.until_s, self._tap = until_s, tap
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
            self._waiter = self._tap = None
            self.woken += 1
        return self._pieces.pop(0)

    async def aclose(self) -> None:
        self._is_over = True

    def be_silent_too_long(self) -> None:
        assert self._waiter is not None
        self._waiter.set_exception(TimeoutError())

    def come(self, piece: bytes) -> None:
        if self._tap is not None and self._waiter is not None and not self._waiter.done():
            until_s = self._tap(piece)
            if until_s is not None:
                self.until_s = until_s
                return
            piece = b""
        self._pieces.append(piece)
        self._wake()

    def end(self) -> None:
        self._is_over = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Reader:
    """A line is a chunk's text; some lines mean something else."""

    def __init__(self) -> None:
        self._is_finished = False

    def read(self, event: bytes) -> Sequence[Chunk]:
        match event:
            case b"finished":
                self._is_finished = True
                return ()
            case b"end":
                return (END,)
            case b"two":
                return TextDelta(text="one"), TextDelta(text="two")
            case b"error":
                raise Overloaded("Too busy.")
            case _:
                return (TextDelta(text=event.decode()),)

    def at_end(self) -> Finished | None:
        return END if self._is_finished else None

    def so_far(self) -> Usage | None:
        return None


class Teller:
    name = "box-a"

    def broke(self, error: LineError, seen: int) -> StreamBroken:
        return StreamBroken(str(error), chunks_seen=seen)

    def not_a_stream(self, head: bytes) -> LegionError:
        return Overloaded(head.decode())


class Bench:
    """A reader of chunks at work, what it was given, and what was passed on beside it."""

    def __init__(self, may_pass: Callable[[], bool] = lambda: True) -> None:
        self.body = Body()
        self.passed = list[str]()
        self.read = list[str]()  # all of it, in the order in which it came out
        self.error: Exception | None = None
        self.chunks = Chunks(
            Teller(),  # pyright: ignore[reportArgumentType]
            self.body,
            JsonLines(),
            Reader(),
            asyncio.get_running_loop().time,
            first_event_s=20,
            idle_s=10,
        )

        def take(chunk: Chunk) -> bool:
            if isinstance(chunk, Finished) or not may_pass():
                return False
            assert isinstance(chunk, TextDelta)
            self.passed.append(chunk.text)
            self.read.append(chunk.text)
            return True

        self.chunks.pass_on(take)
        self._task = asyncio.ensure_future(self._consume())

    async def _consume(self) -> None:
        try:
            async for chunk in self.chunks:
                self.read.append(chunk.text if isinstance(chunk, TextDelta) else "END")
                for more in self.chunks.ready():
                    self.read.append(more.text if isinstance(more, TextDelta) else "END")
        except LegionError as error:
            self.error = error

    async def turn(self) -> None:
        """Let the reader have its turn, if it was woken."""
        for _ in range(3):
            await asyncio.sleep(0)

    async def over(self) -> None:
        await self._task


def test_what_comes_while_the_reader_waits_is_passed_on_without_waking_it() -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.turn()
        for word in (b"a\n", b"b\n", b"two\n"):
            bench.body.come(word)
            await bench.turn()
        assert bench.passed == ["a", "b", "one", "two"]
        assert bench.body.woken == 0

        bench.body.come(b"c\nend\n")
        await bench.over()
        assert bench.read == ["a", "b", "one", "two", "c", "END"]

    run(scenario())


def test_each_piece_with_an_event_ends_the_silence_and_one_without_does_not() -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.turn()
        first = bench.body.until_s
        bench.body.come(b"half an ev")
        assert bench.body.until_s == first
        bench.body.come(b"ent\n")
        assert bench.body.until_s < first  # no model is being loaded any more
        bench.body.end()
        await bench.over()

    run(scenario())


@pytest.mark.parametrize("is_passed_on", [True, False])
def test_behind_its_finish_an_answer_whose_connection_stays_open_is_not_waited_for_as_in_its_middle(
    *, is_passed_on: bool
) -> None:
    async def scenario() -> None:
        now_s = asyncio.get_running_loop().time
        bench = Bench(lambda: is_passed_on)
        await bench.turn()
        for piece in (b"a\n", b"finished\n"):
            bench.body.come(piece)
            await bench.turn()
        assert bench.body.until_s <= now_s() + chunks.ENDING_S
        bench.body.be_silent_too_long()
        await bench.over()
        assert bench.read == ["a", "END"]
        assert bench.error is None

    run(scenario())


def test_an_error_behind_a_word_comes_after_the_word_and_where_the_reader_is() -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.turn()
        bench.body.come(b"a\nerror\nb\n")
        await bench.over()
        assert bench.read == ["a"]
        assert isinstance(bench.error, Overloaded)

    run(scenario())


def test_what_the_taker_itself_raises_comes_out_where_the_reader_is() -> None:
    async def scenario() -> None:
        def break_it() -> bool:
            raise StreamBroken("The pipe is full.")

        bench = Bench(break_it)
        await bench.turn()
        bench.body.come(b"a\n")
        await bench.over()
        assert isinstance(bench.error, StreamBroken)

    run(scenario())


def test_a_large_piece_is_left_to_the_reader_who_gives_others_their_turn() -> None:
    async def scenario() -> None:
        bench = Bench()
        await bench.turn()
        bench.body.come(b"word\n" * chunks.PASSED_BYTES_MAX + b"end\n")
        assert bench.passed == []
        await bench.over()
        assert len(bench.read) == chunks.PASSED_BYTES_MAX + 1

    run(scenario())


WORDS = st.lists(st.sampled_from(["a", "bb", "ccc", "two"]), max_size=12)
CHOICES = st.lists(st.booleans(), max_size=16)


@pytest.mark.parametrize("ends_well", [True, False])
@given(words=WORDS, cuts=st.lists(st.integers(0, 60), max_size=8), passes=CHOICES, turns=CHOICES)
def test_however_it_comes_and_whatever_is_passed_on_nothing_is_lost_doubled_or_moved(
    ends_well: bool, words: list[str], cuts: list[int], passes: list[bool], turns: list[bool]
) -> None:
    body = "".join(f"{word}\n" for word in words).encode() + b"end\n" * ends_well
    places = sorted(min(cut, len(body)) for cut in cuts)
    pieces = [body[at:to] for at, to in zip([0, *places], [*places, len(body)], strict=True)]

    async def scenario() -> None:
        may_pass, has_turn = iter(passes), iter(turns)
        bench = Bench(lambda: next(may_pass, True))
        for piece in pieces:
            if next(has_turn, True):
                await bench.turn()
            if piece:
                bench.body.come(piece)
        await bench.turn()
        bench.body.end()
        await bench.over()
        told = [each for word in words for each in (["one", "two"] if word == "two" else [word])]
        assert bench.read == [*told, *["END"] * ends_well]
        assert isinstance(bench.error, StreamBroken) is not ends_well

    run(scenario())
