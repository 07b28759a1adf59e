"""The arithmetic of fitting, held against a measurement and against itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.models.fit import CACHE_BYTES, compute_bytes, fit, largest_context, size
from legion_core.models.gguf import Header

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
        estimate = fit(STARTER, context, 8 << 30).total_bytes
        assert measured_mib * MIB <= estimate <= 1.5 * measured_mib * MIB


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
