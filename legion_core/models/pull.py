"""Fetches a model over HTTP: resumable, bounded, and checked before it gets its name.

A download lives as `NAME.part` with a sidecar `NAME.part.json` in the store's folder `.downloads`. It is continued only
if the server still has the very same file (strong ETag, or length and date); otherwise it begins anew. Every address it
is led to, redirects included, must be public unless a person said otherwise.
"""

import asyncio
import os
import re
import threading
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Literal, NoReturn
from urllib.parse import unquote, urlsplit

import msgspec

from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import (
    ConnectionLost,
    Corrupt,
    InvalidInput,
    LegionError,
    LimitReached,
    NotFound,
    TimedOut,
    Unavailable,
)
from legion_core.kernel.fetch import reach
from legion_core.models.catalogue import offer
from legion_core.models.fit import size
from legion_core.models.pull_part import (
    Part,
    Waiting,
    Wish,
    beside,
    forget_part,
    hold_part,
    part_file,
    read_part,
    waiting_in,
    write_part,
)
from legion_core.models.pull_reach import PrivateAddress, check_reach, outgoing
from legion_core.models.sniff import SNIFF_BYTES, foreign
from legion_core.models.store import ModelStore, StoredModel, check_name, file_sha256, name_for

if TYPE_CHECKING:
    import httpx

SIZE_BYTES_MAX: Final = 1 << 40
REDIRECTS_MAX: Final = 5
TRIES_MAX: Final = 6  # without a single new byte between them
TRIES_BEGUN_MAX: Final = 60  # once bytes have come: a network that is away for minutes comes back
TRY_PAUSE_FIRST_S: Final = 0.5
TRY_PAUSE_MAX_S: Final = 15.0
CONNECT_S: Final = 15.0
SILENCE_S: Final = 30.0
WRITE_BYTES: Final = 1 << 20
TELL_EVERY_S: Final = 0.1
HASH_TELL_BYTES: Final = 32 << 20
DISK_LOOK_BYTES: Final = 64 << 20  # how often the disk is looked at where the server told no length

PullState = Literal["queued", "downloading", "waiting", "verifying", "ready"]
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class PullProgress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a download stands; `total_bytes` 0 is unknown. `waiting` is the pause before another try."""

    name: str
    state: PullState
    done_bytes: int = 0
    total_bytes: int = 0
    bytes_per_s: float = 0.0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """Every bound of a download."""

    tries_max: int = TRIES_MAX
    tries_begun_max: int = TRIES_BEGUN_MAX
    pause_first_s: float = TRY_PAUSE_FIRST_S
    pause_max_s: float = TRY_PAUSE_MAX_S
    connect_s: float = CONNECT_S
    silence_s: float = SILENCE_S
    size_bytes_max: int = SIZE_BYTES_MAX


class Puller:
    """Downloads into a store. Cancel by cancelling the task; the part stays and the next `pull` goes on from there."""

    def __init__(
        self,
        clock: Clock,
        store: ModelStore,
        limits: Limits | None = None,
        *,
        allow_private: bool = False,
        resolve: reach.Resolve | None = None,
    ) -> None:
        """`allow_private`: every download may come from a private address; else each must be allowed by itself."""
        self._clock = clock
        self._resolve = resolve
        self._allow_private = allow_private
        self._store = store
        self._limits = limits or Limits()
        self._busy: set[str] = set()

    async def pull(
        self,
        source: str,
        *,
        name: str = "",
        sha256: str = "",
        allow_private: bool = False,
        progress: Callable[[PullProgress], None] | None = None,
    ) -> StoredModel:
        """Fetch a catalogue name or an http(s) URL; returns the stored model.

        `progress` is called on the loop, at most ten times a second. Raises NotFound (no such name, 404), InvalidInput
        (URL, or no model; PrivateAddress), Corrupt (wrong sum, lies, cut short), Conflict (name taken), LimitReached
        (disk, size, name being fetched already), ConnectionLost, TimedOut, Unavailable.
        """
        wanted = wanted_of(source, name, sha256, allow_private=allow_private or self._allow_private)
        return await self.fetch(wanted, progress)

    async def understand(self, source: str, *, allow_private: bool = False) -> "Wanted":
        """What a source means, before anything is asked of it: raises what is wrong with its words, its name or its host.

        What it gives is kept on disk, so that `waiting` knows it from now on.
        """
        wanted = wanted_of(source, "", "", allow_private=allow_private or self._allow_private)
        await asyncio.to_thread(self._store.check_free, wanted.name)
        if wanted.name.lower() in self._busy:
            raise LimitReached(f"{wanted.name!r} is being downloaded already.")
        if not wanted.allow_private:
            await check_reach(wanted.url, self._resolve)
        await self.wish(wanted, "")
        return wanted

    async def fetch(
        self, wanted: "Wanted", progress: Callable[[PullProgress], None] | None = None
    ) -> StoredModel:
        """Fetch what was understood; see `pull`."""
        await asyncio.to_thread(self._store.check_free, wanted.name)
        if wanted.name.lower() in self._busy:
            raise LimitReached(f"{wanted.name!r} is being downloaded already.")
        self._busy.add(wanted.name.lower())
        try:
            return await _Download(
                self._clock, self._store, self._limits, wanted, progress, self._resolve
            ).run()
        finally:
            self._busy.discard(wanted.name.lower())

    async def waiting(self) -> tuple[Waiting, ...]:
        """Downloads that were begun, by name."""
        return await asyncio.to_thread(waiting_in, self._store)

    async def wish(self, wanted: "Wanted", wish: Wish) -> None:
        """Remember what a person wants of a download: to go on, to pause, or to be thrown away at the next start."""

        def keep() -> None:
            file = part_file(self._store, wanted.name)
            held = read_part(file)
            if held is None or held.url != wanted.url:
                if wish:
                    return  # nothing came of it yet, and nothing is there to be kept
                forget_part(file)
                held = _part_of(wanted)
            write_part(file, msgspec.structs.replace(held, wish=wish, allow_private=wanted.allow_private))

        await asyncio.to_thread(keep)

    async def discard(self, name: str) -> None:
        """Delete what was downloaded so far; raises NotFound."""
        check_name(name)
        file = part_file(self._store, name)

        def delete() -> None:
            if not file.exists() and not beside(file).exists():
                raise NotFound(f"No download of {name!r} was begun.")
            forget_part(file)

        await asyncio.to_thread(delete)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A source that was understood: the name it will have, where it is, and what it must be."""

    name: str
    url: str
    sha256: str = ""
    licence: str = ""
    allow_private: bool = False


def wanted_of(source: str, name: str = "", sha256: str = "", *, allow_private: bool = False) -> Wanted:
    """What a catalogue name or URL means; NotFound or InvalidInput if it means nothing."""
    source = source.strip()
    if "://" in source:
        url, licence = check_url(source), ""
        name = name or name_for(Path(unquote(urlsplit(url).path)).stem)
    else:
        found = offer(source)
        url, licence, name = found.url, found.licence, name or found.name
        sha256 = sha256 or found.sha256 or ""
    check_name(name)
    sha256 = sha256.lower().removeprefix("sha256:")
    if sha256 and not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise InvalidInput("The sha256 is not 64 hexadecimal digits.")
    return Wanted(name=name, url=url, sha256=sha256, licence=licence, allow_private=allow_private)


def _part_of(wanted: Wanted) -> Part:
    return Part(
        url=wanted.url, sha256=wanted.sha256, licence=wanted.licence, allow_private=wanted.allow_private
    )


def check_url(url: str) -> str:
    """The URL, if it is http(s) with a host and no password in it; else InvalidInput."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise InvalidInput(f"The URL cannot be read: {error}.") from error
    if parts.scheme not in ("http", "https") or not host:
        raise InvalidInput("Only http and https URLs can be downloaded.")
    if parts.username or parts.password:
        raise InvalidInput("The URL holds a user name or password; they would be stored with the model.")
    return url


class _StartOverError(Exception):
    """What is on disk is not a part of what the server has now."""


class _RetryError(Exception):
    """This try failed; another may not."""

    def __init__(self, error: LegionError) -> None:
        super().__init__(error.message)
        self.error = error


class _Download:
    """One download from its first request to the stored model."""

    def __init__(
        self,
        clock: Clock,
        store: ModelStore,
        limits: Limits,
        wanted: Wanted,
        progress: Callable[[PullProgress], None] | None,
        resolve: reach.Resolve | None,
    ) -> None:
        self._clock = clock
        self._resolve = resolve
        self._store = store
        self._limits = limits
        self._wanted = wanted
        self._progress = progress
        self._file = part_file(store, wanted.name)
        self._part: Part | None = None
        self._done = 0
        self._told_at_s = -1.0
        self._told_state = ""
        self._told_sha256 = ""
        self._rate = _Rate()

    async def run(self) -> StoredModel:
        self._tell("queued")
        lock = await asyncio.to_thread(hold_part, self._file)
        try:
            return await self._run()
        finally:
            lock.release()

    async def _run(self) -> StoredModel:
        await asyncio.to_thread(self._open)
        try:
            await self._fetch()
            digest = await self._verify()
            stored = await self._store.take(
                self._file,
                name=self._wanted.name,
                source=self._wanted.url,
                licence=self._wanted.licence,
                sha256=digest,
            )
        except (InvalidInput, Corrupt, NotFound):
            # What came is no model, or it is gone; going on would only lead here again.
            await asyncio.to_thread(self._forget)
            raise
        await asyncio.to_thread(beside(self._file).unlink, missing_ok=True)
        self._tell("ready")
        return stored

    def _open(self) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = read_part(self._file)
        if part is not None and part.url == self._wanted.url and self._file.exists():
            self._part = part
            self._done = self._file.stat().st_size
        else:
            self._begin_anew()

    def _begin_anew(self) -> None:
        self._forget()
        write_part(self._file, _part_of(self._wanted))

    def _forget(self) -> None:
        self._part = None
        self._done = 0
        forget_part(self._file)

    async def _fetch(self) -> None:
        import httpx

        timeout = httpx.Timeout(self._limits.silence_s, connect=self._limits.connect_s)
        tries, restarts = 0, 0
        out = outgoing(
            httpx, self._wanted.name, allow_private=self._wanted.allow_private, resolve=self._resolve
        )
        async with httpx.AsyncClient(
            timeout=timeout, follow_redirects=False, transport=out, trust_env=False
        ) as client:
            while True:
                before = self._done
                try:
                    await self._try(client)
                except _StartOverError:
                    restarts += 1
                    if restarts > 2:
                        raise Unavailable(
                            "The server keeps sending other parts than asked for.",
                            hint="Try another address.",
                        ) from None
                    await asyncio.to_thread(self._begin_anew)
                except _RetryError as failed:
                    tries = 1 if self._done > before else tries + 1
                    if tries >= (self._limits.tries_begun_max if self._done else self._limits.tries_max):
                        raise failed.error from None
                    self._tell("waiting", problem=failed.error.message)
                    pause_s = self._limits.pause_first_s * 2 ** (tries - 1)
                    await asyncio.sleep(min(pause_s, self._limits.pause_max_s))
                else:
                    return

    async def _try(self, client: "httpx.AsyncClient") -> None:
        import httpx

        try:
            await self._request(client, self._wanted.url, REDIRECTS_MAX)
        except httpx.TimeoutException as error:
            raise _RetryError(
                TimedOut(f"The server sent nothing for {self._limits.silence_s:g} s.")
            ) from error
        except (httpx.TransportError, httpx.StreamError, ConnectionError) as error:
            raise _RetryError(
                ConnectionLost(f"The connection to the server failed: {error or type(error).__name__}.")
            ) from error
        except httpx.InvalidURL as error:
            raise InvalidInput(f"The URL cannot be used: {error}.") from error

    async def _request(self, client: "httpx.AsyncClient", url: str, redirects: int) -> None:
        import httpx

        client.cookies.clear()  # a server knows us by nothing
        try:
            opened = await client.send(client.build_request("GET", url, headers=self._headers()), stream=True)
        except reach.PrivateAddress as error:
            raise PrivateAddress(error.host) from error
        except ConnectionLost as error:
            raise _RetryError(error) from error
        async with aclosing(opened) as answer:
            # Hugging Face tells the sum of every large file so, on the way to where its bytes are.
            if _SHA256.fullmatch(told := answer.headers.get("x-linked-etag", "").strip('"').lower()):
                self._told_sha256 = told
            if answer.has_redirect_location:
                target = str(httpx.URL(url).join(answer.headers["location"]))
                if redirects == 0:
                    raise Unavailable("The server redirects in a circle.")
                check_url(target)
                if url.startswith("https:") and not target.startswith("https:"):
                    raise InvalidInput("The server redirects from https to http; that is refused.")
            else:
                await self._take(answer)
                return
        await self._request(client, target, redirects - 1)

    def _headers(self) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity", "User-Agent": "legion-workbench"}
        # Without a word of the server on which file it is, two halves could be of different ones.
        if self._part is not None and self._done and (validator := self._part.etag or self._part.modified):
            headers["Range"] = f"bytes={self._done}-"
            headers["If-Range"] = validator
        return headers

    async def _take(self, answer: "httpx.Response") -> None:
        """Decide by the status what the body is, then append it."""
        if answer.status_code == 416:
            self._past_the_end(answer)
            return
        if answer.status_code not in (200, 206):
            _refused(answer)
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise Unavailable("The server compresses the file although it was asked not to.")
        now = _described(answer, self._wanted)
        if answer.status_code == 206:
            self._check_range(answer, now)
        elif self._done:
            # The whole file again: it changed, or the server knows no ranges.
            await asyncio.to_thread(self._begin_anew)
        if now.total_bytes > self._limits.size_bytes_max:
            raise LimitReached(
                f"The file has {size(now.total_bytes)}; at most {size(self._limits.size_bytes_max)} are taken."
            )
        await asyncio.to_thread(self._store.check_disk, max(0, now.total_bytes - self._done))
        self._part = now
        await asyncio.to_thread(write_part, self._file, now)
        await self._append(answer)
        if now.total_bytes and self._done != now.total_bytes:
            raise _RetryError(
                ConnectionLost(f"The server ended after {self._done:,} of {now.total_bytes:,} bytes.")
            )

    def _past_the_end(self, answer: "httpx.Response") -> None:
        """416: done if what we have is exactly the file, else begin anew."""
        found = re.fullmatch(r"bytes \*/(\d+)", answer.headers.get("content-range", ""))
        part = self._part
        if found and part is not None and int(found[1]) == self._done and part.total_bytes in (0, self._done):
            return
        raise _StartOverError

    def _check_range(self, answer: "httpx.Response", now: Part) -> None:
        before = self._part
        found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
        if before is None or not self._done or found is None or int(found[1]) != self._done:
            raise _StartOverError
        # `If-Range` should have seen to this; not every server listens.
        changed = (now.etag or now.modified) != (before.etag or before.modified)
        if changed or (before.total_bytes and now.total_bytes != before.total_bytes):
            raise _StartOverError

    async def _append(self, answer: "httpx.Response") -> None:
        file = await asyncio.to_thread(_open_at, self._file, self._done)
        held = bytearray()
        looked = self._done
        try:
            async for piece in answer.aiter_raw():
                held += piece
                if self._done == 0 and len(held) >= SNIFF_BYTES:
                    self._sniff(bytes(held[:SNIFF_BYTES]))
                if len(held) >= WRITE_BYTES:
                    await self._write(file, held)
                    if self._part is not None and not self._part.total_bytes:
                        looked = await self._look_at_disk(looked)
        finally:
            # Also what came before a break is kept: the next try goes on after it.
            with suppress(OSError):
                file.write(held)
                self._done += len(held)
            file.close()
        if self._done < SNIFF_BYTES:
            raise InvalidInput(f"The server sent only {self._done} bytes; that is no model.")
        self._tell("downloading", now=True)

    async def _write(self, file: BinaryIO, held: bytearray) -> None:
        piece = bytes(held)
        held.clear()
        try:
            await asyncio.to_thread(file.write, piece)
        except OSError as error:
            raise LimitReached(f"The disk refused the download: {error.strerror or error}.") from error
        self._done += len(piece)
        self._tell("downloading")

    async def _look_at_disk(self, looked: int) -> int:
        if self._done - looked < DISK_LOOK_BYTES:
            return looked
        if self._done > self._limits.size_bytes_max:
            raise LimitReached(f"The file is over {size(self._limits.size_bytes_max)}.")
        await asyncio.to_thread(self._store.check_disk, DISK_LOOK_BYTES)
        return self._done

    def _sniff(self, head: bytes) -> None:
        if what := foreign(head):
            raise InvalidInput(
                f"What the server sends is {what}.", hint="The URL must lead to the .gguf file itself."
            )

    async def _verify(self) -> str:
        self._tell("verifying", now=True, done=0)
        stop, loop, told = threading.Event(), asyncio.get_running_loop(), 0

        def tell(done: int, _: int) -> None:
            # Called in the thread that reads.
            nonlocal told
            if done - told >= HASH_TELL_BYTES:
                told = done
                loop.call_soon_threadsafe(partial(self._tell, "verifying", done=done))

        try:
            digest = await asyncio.to_thread(file_sha256, self._file, tell, stop)
        finally:
            stop.set()
        expected = self._wanted.sha256 or self._told_sha256
        if expected and digest != expected:
            raise Corrupt(
                f"The downloaded file has the sha256 {digest}, not {expected}; it was deleted.",
                hint="The file was changed at its source or on the way. Do not use it from there.",
            )
        return digest

    def _tell(
        self, state: PullState, *, problem: str = "", now: bool = False, done: int | None = None
    ) -> None:
        if self._progress is None:
            return
        at_s = self._clock.monotonic_s()
        if state == "downloading":
            self._rate.note(at_s, self._done)
        else:
            self._rate = _Rate()  # what was there before, and time in which nothing was fetched, is no speed
        if state == self._told_state and not now and at_s - self._told_at_s < TELL_EVERY_S:
            return
        self._told_at_s, self._told_state = at_s, state
        self._progress(
            PullProgress(
                name=self._wanted.name,
                state=state,
                done_bytes=self._done if done is None else done,
                total_bytes=(self._part.total_bytes if self._part else 0)
                or (self._done if done is not None else 0),
                bytes_per_s=self._rate.per_s if state == "downloading" else 0.0,
                problem=problem,
            )
        )


class _Rate:
    """Bytes a second over the last few seconds."""

    WINDOW_S = 5.0

    def __init__(self) -> None:
        self._since: tuple[float, int] | None = None
        self.per_s = 0.0

    def note(self, at_s: float, done: int) -> None:
        if self._since is None or done < self._since[1]:
            self._since = (at_s, done)
            return
        began_s, began = self._since
        if at_s > began_s:
            self.per_s = (done - began) / (at_s - began_s)
        if at_s - began_s > self.WINDOW_S:
            self._since = (at_s, done)


def _described(answer: "httpx.Response", wanted: Wanted) -> Part:
    """Which file this is, by the server's words: a weak ETag does not identify bytes and is left out."""
    etag = answer.headers.get("etag", "")
    total = 0
    if answer.status_code == 206:
        found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
        total = int(found[3]) if found and found[3] != "*" else 0
    elif (length := answer.headers.get("content-length", "")).isdigit():
        total = int(length)
    return msgspec.structs.replace(
        _part_of(wanted),
        etag="" if etag.startswith("W/") else etag,
        modified=answer.headers.get("last-modified", ""),
        total_bytes=total,
    )


def _refused(answer: "httpx.Response") -> NoReturn:
    code = answer.status_code
    if code in (404, 410):
        raise NotFound("The server has no such file.", hint="Check the address.")
    if code in (401, 403):
        raise InvalidInput(
            f"The server refuses the file ({code}).",
            hint="It may want a log-in or a consent; get it with a browser, then import it.",
        )
    if code in (408, 425, 429) or code >= 500:
        raise _RetryError(Unavailable(f"The server answered {code}."))
    raise Unavailable(f"The server answered {code}.")


def _open_at(file: Path, at: int) -> BinaryIO:
    """The part file, cut to `at` bytes and ready to be appended to."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(handle, at)
    opened = os.fdopen(handle, "r+b")
    opened.seek(at)
    return opened
