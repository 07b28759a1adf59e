"""Downloads a person can pause, take back and find again; and addresses that need their word."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from legion_core.api import downloads as module
from legion_core.api.downloads import Downloads, PrivateAddress
from legion_core.api.types import PullProgressed
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import Conflict, LegionError, LimitReached, NotFound
from legion_core.kernel.events import EventBus, Subscription
from legion_core.kernel.fetch.reach import Reach, Resolve
from legion_core.kernel.ids import Ids, system_rng
from legion_core.kernel.supervise import Supervisor
from legion_core.models.pull import Limits, Puller
from legion_core.models.pull_part import hold_part, part_file
from legion_core.models.pull_reach import check_reach
from legion_core.models.store import ModelStore
from tests.support.aio import run
from tests.support.model_server import MODEL, model_server

QUICK = Limits(tries_max=2, tries_begun_max=2, pause_first_s=0.001, pause_max_s=0.002)


class Bench:
    """Downloads over a real store, and their facts."""

    def __init__(self, folder: Path, *, allow_private: bool = True, resolve: Resolve | None = None) -> None:
        clock = SystemClock()
        self.store = ModelStore(clock, Ids(clock, system_rng()), folder / "models")
        self.bus, self.supervisor = EventBus(clock), Supervisor()
        self.ready: list[str] = []
        self.puller = Puller(clock, self.store, QUICK, allow_private=allow_private, resolve=resolve)
        self.downloads = Downloads(self.puller, self.bus, self.supervisor, self._on_ready)
        self.facts: Subscription = self.bus.subscribe(PullProgressed)

    async def _on_ready(self, name: str) -> None:
        self.ready.append(name)

    async def until(self, state: str, name: str = "toy", *, done: int = 0) -> PullProgressed:
        """Wait for that fact."""
        async for fact in self.facts:
            if (
                isinstance(fact, PullProgressed)
                and (fact.name, fact.state) == (name, state)
                and fact.done_bytes >= done
            ):
                return fact
        raise AssertionError("the facts ended")


@asynccontextmanager
async def bench(
    folder: Path, *, allow_private: bool = True, resolve: Resolve | None = None
) -> AsyncGenerator[Bench]:
    made = Bench(folder, allow_private=allow_private, resolve=resolve)
    try:
        yield made
    finally:
        await made.supervisor.stop()
        made.facts.close()


def test_a_paused_download_goes_on_where_it_stopped_and_fetches_nothing_twice(tmp_path: Path) -> None:
    async def check() -> None:
        async with model_server() as server, bench(tmp_path) as at:
            assert await at.downloads.start(server.url()) == "toy"
            await at.until("downloading", done=1_000_000)
            await at.downloads.pause("toy")
            paused = await at.until("paused")
            assert paused.total_bytes == len(MODEL)
            (held,) = await at.downloads.all()
            assert (held.state, held.total_bytes) == ("paused", len(MODEL))
            server.gate.set()
            await at.downloads.resume("toy")
            await at.until("ready")
            assert server.starts == [0, held.done_bytes]
            assert held.done_bytes > 1_000_000
            assert at.ready == ["toy"]
            assert await at.downloads.all() == ()
            stored = await at.store.get("toy")
            assert stored.sha256 == hashlib.sha256(MODEL).hexdigest()

    run(check())


def test_the_check_of_the_sum_is_a_phase_of_its_own(tmp_path: Path) -> None:
    async def check() -> None:
        async with model_server() as server, bench(tmp_path) as at:
            server.gate.set()
            await at.downloads.start(server.url())
            verifying = await at.until("verifying")
            assert (verifying.done_bytes, verifying.total_bytes) == (0, len(MODEL))
            await at.until("ready")

    run(check())


def test_the_end_of_the_process_is_no_end_of_a_download(tmp_path: Path) -> None:
    async def check() -> None:
        async with model_server() as server:
            async with bench(tmp_path) as at:
                await at.downloads.start(server.url())
                await at.until("downloading", done=1_000_000)
            server.gate.set()
            async with bench(tmp_path) as again:
                await again.downloads.go_on()
                await again.until("ready")
                assert again.ready == ["toy"]
            assert server.starts[1] > 1_000_000

    run(check())


def test_what_was_paused_stays_paused_over_a_restart_and_what_was_cancelled_is_gone(tmp_path: Path) -> None:
    async def check() -> None:
        async with model_server() as server:
            async with bench(tmp_path) as at:
                for name, end in (("a", at.downloads.pause), ("b", at.downloads.cancel)):
                    await at.downloads.start(server.url(name))
                    await at.until("downloading", name, done=1_000_000)
                    await end(name)
            async with bench(tmp_path) as again:
                assert [held.name for held in await again.downloads.all()] == ["a"]
                await again.downloads.go_on()
                (held,) = await again.downloads.all()
                assert (held.name, held.state) == ("a", "paused")
                assert not part_file(again.store, "b").exists()
                await again.downloads.discard("a")
                assert await again.downloads.all() == ()

    run(check())


def test_a_cancelled_download_can_be_taken_back_and_one_that_runs_cannot_be_discarded(tmp_path: Path) -> None:
    async def check() -> None:
        async with model_server() as server, bench(tmp_path) as at:
            await at.downloads.start(server.url())
            await at.until("downloading", done=1_000_000)
            with pytest.raises(Conflict):
                await at.downloads.discard("toy")
            with pytest.raises(LegionError, match="already"):
                await at.downloads.start(server.url())
            await at.downloads.cancel("toy")
            await at.until("cancelled")
            server.gate.set()
            await at.downloads.resume("toy")
            await at.until("ready")
            with pytest.raises(NotFound):
                await at.downloads.resume("toy")

    run(check())


def test_more_than_three_wait_their_turn_and_all_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check() -> None:
        async with model_server() as server, bench(tmp_path) as at:
            names = [f"m{number}" for number in range(5)]
            for name in names:
                await at.downloads.start(server.url(name))
            running = set(names[: module.DOWNLOADS_MAX])
            async for fact in at.facts:
                if isinstance(fact, PullProgressed) and fact.done_bytes >= 1_000_000:
                    running.discard(fact.name)
                if not running:
                    break
            states = {held.name: held.state for held in await at.downloads.all()}
            assert [states[name] for name in names[3:]] == ["queued", "queued"]
            monkeypatch.setattr(module, "QUEUE_MAX", 5)
            with pytest.raises(LimitReached):
                await at.downloads.start(server.url("m9"))
            await at.downloads.pause("m4")
            server.gate.set()
            ends = [at.downloads.finished(name) for name in names[:4]]
            await asyncio.gather(*ends)
            assert sorted(at.ready) == names[:4]
            assert [held.name for held in await at.downloads.all()] == ["m4"]

    run(check())


def test_an_address_of_this_computer_needs_a_word(tmp_path: Path) -> None:
    async def check() -> None:
        async with model_server() as server, bench(tmp_path, allow_private=False) as at:
            server.gate.set()
            with pytest.raises(PrivateAddress, match=r"127\.0\.0\.1 is an address of this computer"):
                await at.downloads.start(server.url())
            assert server.starts == []
            assert await at.downloads.all() == ()
            await at.downloads.start(server.url(), allow_private=True)
            await at.until("ready")

    run(check())


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "10.0.0.5",
        "192.168.1.1",
        "169.254.169.254",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "0.0.0.0",
        "2130706433",
    ],
)
def test_every_way_to_write_a_private_address_is_seen_through(host: str) -> None:
    async def check() -> None:
        with pytest.raises(PrivateAddress):
            await check_reach(f"http://{host}/x.gguf")

    run(check())


def test_a_redirect_into_the_own_network_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The server on loopback stands for a public one; where it sends us is judged for real.
    monkeypatch.setattr("legion_core.kernel.fetch.reach.PUBLIC", Reach(allow=("127.0.0.1",)))

    async def check() -> None:
        async with model_server() as server, bench(tmp_path, allow_private=False) as at:
            server.locations.append("http://169.254.169.254/latest/meta-data")
            await at.downloads.start(server.url())
            failed = await at.until("failed")
            assert "169.254.169.254 is an address of this computer or of your own network" in failed.problem
            assert server.starts == []
            assert await at.downloads.all() == ()

    run(check())


@pytest.mark.allow_log("download toy")
def test_a_name_that_leads_elsewhere_once_it_was_looked_up_is_refused(tmp_path: Path) -> None:
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["93.184.216.34"] if len(asked) == 1 else ["127.0.0.1"]

    async def check() -> None:
        async with model_server() as server, bench(tmp_path, allow_private=False, resolve=rebinding) as at:
            server.gate.set()
            await at.downloads.start(server.url().replace("127.0.0.1", "models.example"))
            failed = await at.until("failed")
            assert "models.example is an address of this computer" in failed.problem
            assert server.starts == []
            assert not part_file(at.store, "toy").exists()

    run(check())


def test_two_processes_do_not_write_the_same_file(tmp_path: Path) -> None:
    async def check() -> None:
        async with model_server() as server, bench(tmp_path) as at:
            held = hold_part(part_file(at.store, "toy"))
            try:
                await at.downloads.start(server.url())
                failed = await at.until("failed")
                assert failed.problem == "Another process is downloading 'toy'."
            finally:
                held.release()
            server.gate.set()
            await at.downloads.resume("toy")
            await at.until("ready")

    run(check())


def test_a_server_that_is_gone_fails_and_the_same_download_can_be_gone_on_with(tmp_path: Path) -> None:
    async def check() -> None:
        async with bench(tmp_path) as at:
            async with model_server() as server:
                await at.downloads.start(server.url())
                await at.until("downloading", done=1_000_000)
                port = server.port
                await at.downloads.pause("toy")
            await at.downloads.resume("toy")
            failed = await at.until("failed")
            assert failed.problem
            (held,) = await at.downloads.all()
            assert held.done_bytes > 1_000_000
            assert port
            await asyncio.sleep(0)

    run(check())
