"""The arithmetic of fitting, held against a measurement and against itself."""

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.models.fit import CACHE_BYTES, compute_bytes, fit, largest_context, size
from legion_core.models.gguf import Header, parse
from legion_core.testing.gguf_files import ToyFile, toy_bytes

MIB = 1024 * 1024
# The starter model's own numbers.
STARTER = Header(
    version=3,
    architecture="llama",
    quantisation="Q4_1",
    tensors=272,
    tensor_bytes=96_576_768,
    kv_values_per_token=11_520,
    context_max=8192,
    vocabulary=49_152,
    embedding_length=576,
    feed_forward_length=1536,
)


def test_the_starter_model_is_estimated_above_what_was_measured_but_not_by_much() -> None:
    # Resident size of the child, measured on Linux with 4096 and 8192 tokens of context after 300 tokens of prompt.
    for context, measured_mib in ((4096, 254), (8192, 344)):
        found = fit(STARTER, context, 8 << 30)
        assert measured_mib * MIB <= found.total_bytes - found.margin_bytes <= 1.07 * measured_mib * MIB
        assert found.total_bytes <= 1.15 * measured_mib * MIB


def test_the_parts_add_up_and_the_lines_show_them() -> None:
    got = fit(STARTER, 4096, 1 << 30)
    assert got.kv_bytes == 11_520 * 4096 * 2
    assert got.weights_bytes + got.kv_bytes + got.compute_bytes + got.margin_bytes == got.total_bytes
    assert len(got.lines) == 5
    assert "94.4 MB" in got.lines[1]
    assert "4,096 tokens" in got.lines[1]
    assert got.lines[-1].endswith("fits")


@pytest.mark.parametrize(("share", "label"), [(2.0, "fits"), (1.1, "tight"), (0.9, "too_large")])
def test_the_label_follows_what_is_free(share: float, label: str) -> None:
    total = fit(STARTER, 2048, 0).total_bytes
    assert fit(STARTER, 2048, int(total * share)).label == label


def test_a_context_beyond_the_trained_one_is_cut() -> None:
    assert fit(STARTER, 100_000, 1 << 30).context == 8192


@given(st.integers(1, 8192), st.integers(1, 8192), st.integers(0, 1 << 40))
def test_more_context_never_needs_less_and_more_memory_never_fits_worse(a: int, b: int, free: int) -> None:
    order = ["fits", "tight", "too_large"]
    small, large = fit(STARTER, min(a, b), free), fit(STARTER, max(a, b), free)
    assert small.total_bytes <= large.total_bytes
    assert order.index(small.label) <= order.index(large.label)
    richer = fit(STARTER, a, free * 2)
    assert order.index(richer.label) <= order.index(fit(STARTER, a, free).label)


@given(st.integers(0, 1 << 33), st.sampled_from(sorted(CACHE_BYTES.values())))
def test_the_largest_context_fits_and_the_next_does_not(free: int, per_value: float) -> None:
    tokens = largest_context(STARTER, free, per_value)
    assert 0 <= tokens <= STARTER.context_max
    if tokens:
        assert fit(STARTER, tokens, free, cache_bytes_per_value=per_value).label != "too_large"
    if tokens < STARTER.context_max:
        more = fit(STARTER, tokens + 257, free, cache_bytes_per_value=per_value)
        assert more.label == "too_large"


def test_computing_grows_with_the_vocabulary() -> None:
    assert compute_bytes(STARTER) > 49_152 * 128 * 4


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 B"), (999, "999 B"), (98_362_432, "98.4 MB"), (5_000_000_000_000, "5.0 TB")]
)
def test_sizes_are_written_for_people(count: int, words: str) -> None:
    assert size(count) == words


# Published shapes of known models, and the cache that llama.cpp allots for 4,096 tokens of them at 16 bits a value:
# architecture, layers, heads, heads of the cache, width, width of a head where the file says it, MiB.
KNOWN = (
    ("llama", 30, 9, 3, 576, 0, 90),  # SmolLM2 135M
    ("llama", 22, 32, 4, 2048, 0, 88),  # TinyLlama 1.1B
    ("llama", 16, 32, 8, 2048, 64, 128),  # Llama 3.2 1B
    ("llama", 28, 24, 8, 3072, 128, 448),  # Llama 3.2 3B
    ("llama", 32, 32, 8, 4096, 128, 512),  # Llama 3.1 8B, Mistral 7B
    ("qwen2", 24, 14, 2, 896, 0, 48),  # Qwen2.5 0.5B
    ("qwen2", 28, 12, 2, 1536, 0, 112),  # Qwen2.5 1.5B
    ("qwen2", 28, 28, 4, 3584, 0, 224),  # Qwen2.5 7B
    ("qwen3", 28, 16, 8, 1024, 128, 448),  # Qwen3 0.6B
    ("qwen3", 36, 32, 8, 2560, 128, 576),  # Qwen3 4B
    ("qwen3", 36, 32, 8, 4096, 128, 576),  # Qwen3 8B
    ("gemma2", 26, 8, 4, 2304, 256, 416),  # Gemma 2 2B
    ("phi3", 32, 32, 32, 3072, 0, 1536),  # Phi-3.5 mini
)


@pytest.mark.parametrize("known", KNOWN)
def test_the_cache_of_known_models_is_what_the_engine_allots(
    known: tuple[str, int, int, int, int, int, int],
) -> None:
    family, layers, heads, kept, width, of_head, mib = known
    pairs = {
        **ToyFile().pairs,
        "general.architecture": family,
        f"{family}.context_length": 8192,
        f"{family}.embedding_length": width,
        f"{family}.block_count": layers,
        f"{family}.attention.head_count": heads,
        f"{family}.attention.head_count_kv": kept,
    }
    if of_head:
        pairs |= {f"{family}.attention.key_length": of_head, f"{family}.attention.value_length": of_head}
    data = toy_bytes(replace(ToyFile(), pairs=pairs))
    header = parse(io.BytesIO(data), len(data), "toy.gguf")
    for tokens in (1024, 4096, 8192):
        assert fit(header, tokens, 64 << 30).kv_bytes == mib * MIB * tokens // 4096
