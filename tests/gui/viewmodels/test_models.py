from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.viewmodels.models import (
    ModelsViewModel,
    context_steps,
    download_of,
    downloads_words,
    estimate,
    fit_bar,
    hardware_words,
)
from legion_core.api.types import PullProgressed
from tests.gui.conftest import Stage
from tests.gui.fake_legion import GB, NOW, fit


@pytest.fixture
def models(stage: Stage) -> ModelsViewModel:
    made = ModelsViewModel(stage.bridge, stage.now)
    stage.connect()
    made.visit()
    return made


def progress(
    state: str, done: int = 0, total: int = 0, speed: float = 0.0, problem: str = ""
) -> PullProgressed:
    return PullProgressed(
        name="m", state=state, done_bytes=done, total_bytes=total, bytes_per_s=speed, problem=problem, at_utc=NOW,
        at_mono_s=0.0,
    )  # fmt: skip


def test_nothing_is_asked_before_the_page_is_seen(stage: Stage) -> None:
    made = ModelsViewModel(stage.bridge, stage.now)
    stage.connect()
    made.refresh()
    assert stage.legion.models.calls == []
    made.visit()
    assert stage.legion.models.calls == [("list", None)]


def test_the_loaded_model_is_selected_first(models: ModelsViewModel) -> None:
    assert models.selected == "smollm2-135m-instruct"
    assert models.fit is not None


def test_filters_and_search_narrow_the_rows(models: ModelsViewModel) -> None:
    assert models.counts() == {"all": 3, "fits": 2, "loaded": 1}
    models.show(filter_key="fits")
    assert [row.name for row in models.rows] == ["smollm2-135m-instruct", "qwen3-coder-30b-a3b"]
    models.show(query="qwen")
    assert [row.name for row in models.rows] == ["qwen3-coder-30b-a3b"]
    models.show(query="", filter_key="loaded")
    assert [row.name for row in models.rows] == ["smollm2-135m-instruct"]


def test_the_fit_follows_the_context_and_a_late_reply_for_another_is_dropped(
    stage: Stage, models: ModelsViewModel
) -> None:
    models.set_context(8192)
    stage.spawner.hold()
    models._fit_pause.timeout.emit()
    models.set_context(16_384)
    models._fit_pause.stop()
    stage.spawner.release()
    assert models.fit is not None
    assert models.fit.context == 2048
    models._fit_pause.timeout.emit()
    assert models.fit.context == 16_384


def test_a_refused_file_is_told_in_its_own_words(stage: Stage, models: ModelsViewModel) -> None:
    models.import_files([Path("/x/readme.txt"), Path("/x/good.gguf")])
    assert stage.refusals == ["readme.txt is not a GGUF file. Choose a file that ends in .gguf."]
    assert models.selected == "good"


def test_removing_tells_what_was_freed(stage: Stage, models: ModelsViewModel) -> None:
    told: list[tuple[str, int]] = []
    models.removed.connect(lambda *words: told.append(words))
    models.remove("qwen3-coder-30b-a3b")
    assert told == [("qwen3-coder-30b-a3b", 13_800_000_000)]
    assert len(models.all_rows) == 2


def test_one_work_at_a_time_for_a_model(stage: Stage, models: ModelsViewModel) -> None:
    stage.spawner.hold()
    models.measure("smollm2-135m-instruct")
    models.measure("smollm2-135m-instruct")
    assert models.busy == {"smollm2-135m-instruct"}
    stage.spawner.release()
    assert models.busy == frozenset()
    assert [call for call in stage.legion.models.calls if call[0] == "measure"] == [
        ("measure", "smollm2-135m-instruct")
    ]
    assert models.current is not None
    assert models.current.tokens_per_s == 77.0


def test_downloads_are_shown_as_they_go_and_can_be_cancelled_and_forgotten(
    stage: Stage, models: ModelsViewModel
) -> None:
    models.pull("mistral")
    stage.deliver()
    assert [(found.name, found.state, found.share) for found in models.downloads] == [
        ("mistral", "downloading", 0.1)
    ]
    models.forget_download("mistral")
    assert len(models.downloads) == 1
    models.cancel("mistral")
    stage.deliver()
    assert models.downloads[0].words == "Cancelled"
    models.forget_download("mistral")
    assert models.downloads == ()


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        (progress("downloading", 8_200_000_000, 14_300_000_000, 20_333_333), "8.2 GB of 14.3 GB, 5 min left"),
        (progress("downloading", 5_000_000), "5 MB"),
        (progress("verifying", 81, 100), "Checking SHA-256, 81 %"),
        (progress("failed", problem="The disk is full. Free 2 GB."), "The disk is full. Free 2 GB."),
        (progress("ready"), "Ready"),
        (progress("queued"), "Waiting for its turn"),
    ],
)
def test_a_download_says_what_is_true(fact: PullProgressed, words: str) -> None:
    assert download_of(fact).words == words


def test_the_fit_bar_shows_each_part_and_what_is_left(models: ModelsViewModel) -> None:
    model = models.current
    assert model is not None
    bar = fit_bar(model, fit())
    assert bar.pill == "Fits, 7.7 GB left"
    assert [part[2] for part in bar.parts] == [
        "Weights, Q4_1",
        "Key-value cache, 2k",
        "Compute buffer",
        "Margin",
    ]
    assert sum(part[0] for part in bar.parts) == pytest.approx(
        fit().total_bytes / fit().available_bytes, rel=0.01
    )


@given(st.integers(0, 2_000_000))
def test_context_steps_rise_and_end_at_the_models_own_bound(bound: int) -> None:
    steps = context_steps(bound)
    assert list(steps) == sorted(set(steps))
    assert steps[-1] == (bound or 8192)


def test_an_estimate_needs_to_know_the_computer() -> None:
    offer = SimpleNamespace(size_bytes_about=5 * GB)
    room = SimpleNamespace(gpus=(), memory_free_bytes=8 * GB)
    assert estimate(offer, None) == ""
    assert estimate(offer, room) == "fits"
    assert estimate(SimpleNamespace(size_bytes_about=20 * GB), room) == "too_large"
    card = SimpleNamespace(free_bytes=40 * GB)
    assert (
        estimate(
            SimpleNamespace(size_bytes_about=20 * GB), SimpleNamespace(gpus=(card,), memory_free_bytes=GB)
        )
        == "fits"
    )


def test_the_computer_in_a_sentence() -> None:
    card = SimpleNamespace(name="RTX 4070", memory_bytes=12 * GB)
    hardware = SimpleNamespace(memory_bytes=32 * GB, gpus=(card,), disk_free_bytes=214 * GB)
    assert hardware_words(hardware) == "32 GB memory, 12 GB RTX 4070, 214 GB free on disk"


def test_a_process_is_said_in_words() -> None:
    from app.viewmodels.models import process_words
    from legion_core.api.models import EngineRow

    up = EngineRow(model="m", state="ready", pid=47, engine="llama.cpp", version="0.4", starts=1)
    assert process_words(up) == "llama.cpp 0.4, process 47, started once, never crashed"
    down = EngineRow(model="m", state="backing_off", starts=3, crashes=1, last_exit="was killed by SIGSEGV")
    assert process_words(down) == "started 3 times, crashed once, the last one was killed by SIGSEGV"


def test_a_download_is_paused_gone_on_with_and_what_is_let_go_is_deleted(
    stage: Stage, models: ModelsViewModel
) -> None:
    models.pull("mistral")
    stage.deliver()
    assert models.downloads[0].can_pause
    models.pause_all()
    stage.deliver()
    (held,) = models.downloads
    assert (held.words, held.icon, held.is_active, held.can_resume) == (
        "Paused, 10 %",
        "circle-pause",
        False,
        True,
    )
    models.resume("mistral")
    stage.deliver()
    models.pause("mistral")
    stage.deliver()
    models.forget_download("mistral")
    assert [call[0] for call in stage.legion.models.calls if call[0] not in ("list", "fit")] == [
        "pull", "pause", "resume", "pause", "discard",
    ]  # fmt: skip


def test_downloads_that_were_there_before_the_window_are_shown(stage: Stage) -> None:
    stage.legion.models.held = (progress("paused", 40, 100),)
    stage.connect()
    made = ModelsViewModel(stage.bridge, stage.now)
    made.visit()
    assert [(found.state, found.words) for found in made.downloads] == [("paused", "Paused, 40 %")]


def test_the_network_that_is_away_is_said_with_how_far_it_came() -> None:
    waiting = download_of(progress("waiting", 124, 1000, problem="The connection failed."))
    assert (waiting.words, waiting.icon, waiting.tip) == (
        "Waiting for network, 12 %",
        "wifi-off",
        "The connection failed.",
    )


def test_all_downloads_together_have_a_rate_and_an_end() -> None:
    found = [
        download_of(progress("downloading", 0, 6_000_000_000, 10_000_000)),
        download_of(progress("downloading", 0, 600_000_000, 10_000_000)),
        download_of(progress("ready", 5, 5)),
    ]
    assert downloads_words(found) == "2 of 3 active, 20 MB/s, done in about 6 min"
    assert downloads_words(found[2:]) == "none active"


def test_an_address_in_the_own_network_is_asked_about_and_then_allowed(
    stage: Stage, models: ModelsViewModel
) -> None:
    asked: list[tuple[str, str]] = []
    models.private_asked.connect(lambda source, host: asked.append((source, host)))
    models.pull("http://192.168.1.5/m.gguf")
    assert asked == [("http://192.168.1.5/m.gguf", "192.168.1.5")]
    assert models.downloads == ()
    models.pull("http://192.168.1.5/m.gguf", allow_private=True)
    stage.deliver()
    assert len(models.downloads) == 1
