"""Downloads against a server that drops, lies and changes its mind."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import (
    Conflict,
    ConnectionLost,
    Corrupt,
    InvalidInput,
    LimitReached,
    NotFound,
    TimedOut,
    Unavailable,
)
from legion_core.kernel.ids import Ids, system_rng
from legion_core.models.catalogue import catalogue, offer
from legion_core.models.pull import Limits, Puller, PullProgress, check_url
from legion_core.models.pull_part import downloads_folder
from legion_core.models.store import ModelStore
from legion_core.testing.gguf_files import ToyFile, ToyTensor, toy_bytes
from tests.support import aio

MODEL = toy_bytes(ToyFile(tensors=(ToyTensor("a", shape=(32, 20_000), size=32 * 20_000 * 4),)))
OTHER = toy_bytes(ToyFile(tensors=(ToyTensor("b", shape=(32, 21_000), size=32 * 21_000 * 4),)))
SUM = hashlib.sha256(MODEL).hexdigest()
QUICK = Limits(tries_max=4, tries_begun_max=4, pause_first_s=0.001, pause_max_s=0.002, silence_s=5)

Answer = Callable[["Request", asyncio.StreamWriter], Awaitable[None]]


class Request:
    """What the client asked: the path and the headers, names in lower case."""

    def __init__(self, head: bytes, reader: asyncio.StreamReader) -> None:
        self.hung_up = reader.read
        lines = head.decode().split("\r\n")
        self.path = lines[0].split(" ")[1]
        self.headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:] if line)}

    @property
    def start(self) -> int | None:
        value = self.headers.get("range")
        return int(value.removeprefix("bytes=").removesuffix("-")) if value else None


class Server:
    """Answers each request by the next of its answers; the last repeats."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.requests: list[Request] = []
        self.port = 0
        self.tasks: list[asyncio.Task[None] | None] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.append(asyncio.current_task())
        try:
            request = Request(await reader.readuntil(b"\r\n\r\n"), reader)
            self.requests.append(request)
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            await answer(request, writer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def url(self, path: str = "/toy.gguf") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@asynccontextmanager
async def serving(*answers: Answer) -> AsyncGenerator[Server, None]:
    server = Server(*answers)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield server
        await asyncio.gather(*(task for task in server.tasks if task is not None))


def _head(status: str, **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\n{lines}Connection: close\r\n\r\n".encode()


def good(body: bytes = MODEL, etag: str = '"v1"', sent: int | None = None, ranges: bool = True) -> Answer:
    """An honest server; with `sent` it hangs up after so many bytes of the body."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        start = request.start
        if ranges and start is not None and request.headers.get("if-range") in (None, etag):
            if start >= len(body):
                writer.write(
                    _head(
                        "416 Range Not Satisfiable", Content_Range=f"bytes */{len(body)}", Content_Length="0"
                    )
                )
                return
            part = body[start:]
            writer.write(
                _head(
                    "206 Partial Content",
                    Content_Range=f"bytes {start}-{len(body) - 1}/{len(body)}",
                    Content_Length=str(len(part)),
                    ETag=etag,
                )
            )
        else:
            part = body
            writer.write(_head("200 OK", Content_Length=str(len(body)), ETag=etag))
        writer.write(part if sent is None else part[:sent])

    return answer


def fixed(head: bytes, body: bytes = b"") -> Answer:
    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(head + body)

    return answer


async def silent(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(_head("200 OK", Content_Length=str(len(MODEL))) + MODEL[:100])
    await writer.drain()
    await request.hung_up()


def _store(folder: Path) -> ModelStore:
    clock = SystemClock()
    return ModelStore(clock, Ids(clock, system_rng()), folder / "models")


def _puller(folder: Path, limits: Limits = QUICK) -> Puller:
    return Puller(SystemClock(), _store(folder), limits, allow_private=True)


def test_a_download_is_checked_stored_and_its_traces_removed(tmp_path: Path) -> None:
    async def check() -> None:
        seen: list[PullProgress] = []
        async with serving(good()) as server:
            stored = await _puller(tmp_path).pull(server.url(), sha256=SUM, progress=seen.append)
        assert (stored.name, stored.sha256, stored.problem) == ("toy", SUM, "")
        assert stored.source == server.url()
        assert Path(stored.path).read_bytes() == MODEL
        assert seen[0].state == "queued"
        assert [progress.state for progress in seen][-2:] == ["verifying", "ready"]
        assert seen[-1].done_bytes == seen[-1].total_bytes == len(MODEL)
        assert list(downloads_folder(_store(tmp_path)).iterdir()) == []
        assert server.requests[0].headers["accept-encoding"] == "identity"

    aio.run(check())


def test_a_dropped_connection_is_continued_where_it_broke(tmp_path: Path) -> None:
    async def check() -> None:
        seen: list[PullProgress] = []
        async with serving(good(sent=1_500_000), good(sent=700_000), good()) as server:
            stored = await _puller(tmp_path).pull(server.url(), progress=seen.append)
        assert stored.sha256 == SUM
        assert [request.start for request in server.requests] == [None, 1_500_000, 2_200_000]
        assert all(request.headers["if-range"] == '"v1"' for request in server.requests[1:])
        assert "waiting" in [progress.state for progress in seen]

    aio.run(check())


def test_a_cancelled_download_goes_on_at_the_next_pull(tmp_path: Path) -> None:
    async def hangs(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(_head("200 OK", Content_Length=str(len(MODEL)), ETag='"v1"') + MODEL[:1_200_000])
        await writer.drain()
        await request.hung_up()

    async def check() -> None:
        puller = _puller(tmp_path)
        arrived = asyncio.Event()
        async with serving(hangs, good()) as server, asyncio.TaskGroup() as group:
            task = group.create_task(
                puller.pull(server.url(), progress=lambda p: arrived.set() if p.done_bytes else None)
            )
            await arrived.wait()
            with pytest.raises(LimitReached, match="already"):
                await puller.pull(server.url())
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            (waiting,) = await puller.waiting()
            assert (waiting.name, waiting.total_bytes) == ("toy", len(MODEL))
            told: list[PullProgress] = []
            stored = await puller.pull(server.url(), progress=told.append)
            assert server.requests[1].start == waiting.done_bytes > 0
            assert stored.sha256 == SUM
            first = next(progress for progress in told if progress.state == "downloading")
            assert first.bytes_per_s == 0.0, "what was there already did not come now"

    aio.run(check())


def test_a_part_can_be_thrown_away(tmp_path: Path) -> None:
    async def check() -> None:
        puller = _puller(tmp_path, Limits(tries_max=1, tries_begun_max=1))
        async with serving(good(sent=1000)) as server:
            with pytest.raises(ConnectionLost, match=r"connection|ended"):
                await puller.pull(server.url())
        assert len(await puller.waiting()) == 1
        await puller.discard("toy")
        assert await puller.waiting() == ()
        with pytest.raises(NotFound):
            await puller.discard("toy")
        with pytest.raises(InvalidInput):
            await puller.discard("../toy")

    aio.run(check())


def test_a_file_that_changed_meanwhile_begins_anew(tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(good(sent=1_500_000), good(OTHER, '"v2"')) as server:
            stored = await _puller(tmp_path).pull(server.url())
        assert Path(stored.path).read_bytes() == OTHER
        assert len(server.requests) == 2

    aio.run(check())


def test_a_server_that_sends_a_part_of_another_file_is_seen_through(tmp_path: Path) -> None:
    async def careless(request: Request, writer: asyncio.StreamWriter) -> None:
        request.headers.pop("if-range", None)
        await good(OTHER, '"v2"')(request, writer)

    async def check() -> None:
        async with serving(good(sent=1_500_000), careless) as server:
            stored = await _puller(tmp_path).pull(server.url())
        assert Path(stored.path).read_bytes() == OTHER
        assert [request.start for request in server.requests] == [None, 1_500_000, None]

    aio.run(check())


def test_a_wrong_range_begins_anew_and_a_stubborn_one_is_an_error(tmp_path: Path) -> None:
    wrong = fixed(
        _head(
            "206 Partial Content", Content_Range=f"bytes 5-99/{len(MODEL)}", Content_Length="95", ETag='"v1"'
        ),
        bytes(95),
    )

    async def check() -> None:
        async with serving(good(sent=1_500_000), wrong, good()) as server:
            stored = await _puller(tmp_path).pull(server.url(), name="a")
            assert stored.sha256 == SUM
            assert server.requests[2].start is None
        async with serving(wrong) as server:
            with pytest.raises(Unavailable, match="other parts"):
                await _puller(tmp_path).pull(server.url(), name="b")

    aio.run(check())


def test_a_server_without_ranges_begins_anew(tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(good(sent=1_500_000, ranges=False), good(ranges=False)) as server:
            stored = await _puller(tmp_path).pull(server.url())
        assert stored.sha256 == SUM

    aio.run(check())


def test_a_server_that_does_not_say_which_file_it_is_is_not_continued(tmp_path: Path) -> None:
    cut = fixed(_head("200 OK", Content_Length=str(len(MODEL))), MODEL[:1_500_000])
    whole = fixed(_head("200 OK", Content_Length=str(len(MODEL))), MODEL)

    async def check() -> None:
        async with serving(cut, whole) as server:
            stored = await _puller(tmp_path).pull(server.url())
        assert stored.sha256 == SUM
        assert [request.start for request in server.requests] == [None, None]

    aio.run(check())


def test_416_is_the_end_if_everything_is_there_and_else_a_new_beginning(tmp_path: Path) -> None:
    gone = fixed(_head("416 Range Not Satisfiable", Content_Range="bytes */10", Content_Length="0"))

    async def check() -> None:
        async with serving(good(sent=1_500_000), gone, good()) as server:
            stored = await _puller(tmp_path).pull(server.url(), name="a")
            assert stored.sha256 == SUM
        # A complete part, as a crash before the last step leaves it.
        folder = downloads_folder(_store(tmp_path))
        async with serving(good()) as server:
            (folder / "b.part").write_bytes(MODEL)
            described = f'{{"url":"{server.url()}","etag":"\\"v1\\"","total_bytes":{len(MODEL)}}}'
            (folder / "b.part.json").write_text(described)
            stored = await _puller(tmp_path).pull(server.url(), name="b")
            assert stored.sha256 == SUM
            assert [request.start for request in server.requests] == [len(MODEL)]

    aio.run(check())


def test_a_body_without_a_length_is_taken_to_its_end(tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(fixed(_head("200 OK"), MODEL)) as server:
            stored = await _puller(tmp_path).pull(server.url())
        assert stored.sha256 == SUM

    aio.run(check())


def test_a_truncated_file_of_unknown_length_is_found_by_its_header(tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(fixed(_head("200 OK"), MODEL[:-1000])) as server:
            with pytest.raises(Corrupt, match="cut short"):
                await _puller(tmp_path).pull(server.url())
        assert await _puller(tmp_path).waiting() == ()

    aio.run(check())


def test_a_wrong_sum_is_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    async def check() -> None:
        puller = _puller(tmp_path)
        async with serving(good()) as server:
            with pytest.raises(Corrupt, match="sha256"):
                await puller.pull(server.url(), sha256="0" * 64)
        assert await puller.waiting() == ()
        assert await _store(tmp_path).list() == ()

    aio.run(check())


def test_what_is_no_model_is_refused_at_its_first_bytes(tmp_path: Path) -> None:
    page = b"<!DOCTYPE html><html>Please log in</html>" + bytes(100)

    async def endless(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(_head("200 OK", Content_Length=str(1 << 33)) + page)
        await writer.drain()
        await request.hung_up()

    async def check() -> None:
        async with serving(endless) as server:
            with pytest.raises(InvalidInput, match="web page"):
                await _puller(tmp_path).pull(server.url())
        async with serving(fixed(_head("200 OK", Content_Length="3"), b"abc")) as server:
            with pytest.raises(InvalidInput, match="only 3 bytes"):
                await _puller(tmp_path).pull(server.url())

    aio.run(check())


@pytest.mark.parametrize(
    ("status", "error", "requests"),
    [
        ("404 Not Found", NotFound, 1),
        ("401 Unauthorized", InvalidInput, 1),
        ("403 Forbidden", InvalidInput, 1),
        ("418 Teapot", Unavailable, 1),
        ("503 Busy", Unavailable, 4),
        ("429 Slow Down", Unavailable, 4),
    ],
)
def test_a_refusal_is_told_and_only_what_may_pass_is_tried_again(
    status: str, error: type[Exception], requests: int, tmp_path: Path
) -> None:
    async def check() -> None:
        async with serving(fixed(_head(status, Content_Length="0"))) as server:
            with pytest.raises(error):
                await _puller(tmp_path).pull(server.url())
            assert len(server.requests) == requests

    aio.run(check())


def test_silence_ends(tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(silent) as server:
            with pytest.raises(TimedOut, match="sent nothing"):
                await _puller(tmp_path, Limits(tries_max=1, tries_begun_max=1, silence_s=0.1)).pull(
                    server.url()
                )

    aio.run(check())


def test_nobody_there_is_told(tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(good()) as server:
            url = server.url()
        with pytest.raises(ConnectionLost):
            await _puller(tmp_path).pull(url)

    aio.run(check())


def _linked(told: str, body: bytes = MODEL) -> Answer:
    """As Hugging Face: the sum is told on the way, the bytes come from elsewhere."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.path == "/toy.gguf":
            where = _head("302 Found", Location="/bytes", X_Linked_Etag=f'"{told}"', Content_Length="0")
            writer.write(where)
        else:
            await good(body)(request, writer)

    return answer


def test_a_sum_that_the_server_tells_is_what_the_file_is_held_against(tmp_path: Path) -> None:
    changed = MODEL[:-1] + bytes((MODEL[-1] ^ 1,))

    async def check() -> None:
        async with serving(_linked(SUM.upper())) as server:
            assert (await _puller(tmp_path).pull(server.url())).sha256 == SUM
        async with serving(_linked(SUM, changed)) as server:
            with pytest.raises(Corrupt, match=f"not {SUM}"):
                await _puller(tmp_path).pull(server.url(), name="b")
        # What is no such sum, as of files that are kept otherwise, says nothing; what was asked for comes first.
        async with serving(_linked("0123456789abcdef0123456789abcdef01234567")) as server:
            assert (await _puller(tmp_path).pull(server.url(), name="c")).sha256 == SUM
        async with serving(_linked("0" * 64)) as server:
            assert (await _puller(tmp_path).pull(server.url(), name="d", sha256=SUM)).sha256 == SUM

    aio.run(check())


def test_redirects_are_followed_within_bounds(tmp_path: Path) -> None:
    async def hop(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.path == "/toy.gguf":
            writer.write(_head("302 Found", Location="/real.bin", Content_Length="0"))
        else:
            await good()(request, writer)

    loop = fixed(_head("302 Found", Location="/toy.gguf", Content_Length="0"))
    away = fixed(_head("302 Found", Location="file:///etc/passwd", Content_Length="0"))

    async def check() -> None:
        async with serving(hop) as server:
            stored = await _puller(tmp_path).pull(server.url())
            assert stored.source == server.url()
        async with serving(loop) as server:
            with pytest.raises(Unavailable, match="circle"):
                await _puller(tmp_path).pull(server.url(), name="b")
        async with serving(away) as server:
            with pytest.raises(InvalidInput, match="http and https"):
                await _puller(tmp_path).pull(server.url(), name="c")

    aio.run(check())


def test_a_file_over_the_bound_or_the_disk_is_not_begun(tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(good()) as server:
            with pytest.raises(LimitReached, match="at most"):
                await _puller(tmp_path, Limits(size_bytes_max=1000)).pull(server.url())
        async with serving(fixed(_head("200 OK", Content_Length=str(1 << 39)), MODEL)) as server:
            with pytest.raises(LimitReached, match="disk"):
                await _puller(tmp_path).pull(server.url())

    aio.run(check())


def test_a_compressed_answer_is_refused(tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(fixed(_head("200 OK", Content_Encoding="gzip"), MODEL)) as server:
            with pytest.raises(Unavailable, match="compresses"):
                await _puller(tmp_path).pull(server.url())

    aio.run(check())


def test_a_name_that_is_taken_is_told_before_a_byte_is_asked_for(tmp_path: Path) -> None:
    async def check() -> None:
        async with serving(good()) as server:
            await _puller(tmp_path).pull(server.url())
            with pytest.raises(Conflict):
                await _puller(tmp_path).pull(server.url())
            assert len(server.requests) == 1

    aio.run(check())


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://x/y.gguf",
        "http:///x.gguf",
        "https://user:pw@x/y.gguf",
        "http://[::1/x",
        "javascript://x",
    ],
)
def test_only_plain_web_addresses_are_fetched(url: str) -> None:
    with pytest.raises(InvalidInput):
        check_url(url)


def test_a_bad_sum_or_name_is_refused(tmp_path: Path) -> None:
    async def check() -> None:
        with pytest.raises(InvalidInput, match="64 hexadecimal"):
            await _puller(tmp_path).pull("https://example.org/x.gguf", sha256="../../etc")
        with pytest.raises(InvalidInput, match="not a model's name"):
            await _puller(tmp_path).pull("https://example.org/x.gguf", name="../x")
        with pytest.raises(NotFound, match="catalogue"):
            await _puller(tmp_path).pull("no-such-model")

    aio.run(check())


def test_the_catalogue_is_sound() -> None:
    models = catalogue().models
    assert len(models) >= 12
    assert len({model.name for model in models}) == len(models)
    sizes = [model.size_bytes_about for model in models]
    assert sizes == sorted(sizes)
    for model in models:
        assert model.url.startswith("https://huggingface.co/")
        assert model.url.endswith(".gguf")
        assert model.licence
        assert model.sha256 is None or len(model.sha256) == 64
        assert offer(model.name.upper()) == model
    assert "null" in catalogue().note
