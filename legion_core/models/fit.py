"""Will this model run here? Arithmetic only, shown as lines a person can check."""

from typing import Final, Literal

import msgspec

from legion_core.models.gguf import Header

MARGIN: Final = 0.10
TIGHT_FROM: Final = 0.75  # of what is free: beyond it, other programs feel it
PROCESS_BYTES: Final = 48 * 1024 * 1024  # the child itself: interpreter and engine code, measured
BATCH_TOKENS: Final = 128  # computed at once; the child's own setting
F16_BYTES: Final = 2.0
CACHE_BYTES: Final[dict[str, float]] = {"f32": 4.0, "f16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}

Label = Literal["fits", "tight", "too_large"]


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """The parts in bytes, their sum against what is free, and the arithmetic line by line."""

    label: Label
    weights_bytes: int
    kv_bytes: int
    compute_bytes: int
    margin_bytes: int
    total_bytes: int
    available_bytes: int
    where: str
    context: int
    lines: tuple[str, ...]


def fit(
    header: Header,
    context: int,
    available_bytes: int,
    *,
    cache_bytes_per_value: float = F16_BYTES,
    where: str = "memory",
) -> Fit:
    """Weights + cache + compute buffer + 10 %, against `available_bytes`.

    `context` in tokens, at least 1; more than the model was trained for is cut to that. Sliding windows, which some
    models use to keep less, are not counted: the estimate errs on the large side.
    """
    assert context >= 1
    assert available_bytes >= 0
    assert cache_bytes_per_value > 0
    held = min(context, header.context_max) if header.context_max else context
    weights = header.tensor_bytes
    kv = round(header.kv_values_per_token * held * cache_bytes_per_value)
    compute = compute_bytes(header)
    margin = round((weights + kv + compute) * MARGIN)
    total = weights + kv + compute + margin
    label: Label = (
        "too_large"
        if total > available_bytes
        else "tight"
        if total > available_bytes * TIGHT_FROM
        else "fits"
    )
    lines = (
        f"weights {size(weights)}: {header.tensors} tensors, {header.quantisation or 'unknown quantisation'}",
        f"cache {size(kv)}: {held:,} tokens × {header.kv_values_per_token:,} values × {cache_bytes_per_value:g} bytes",
        f"computing {size(compute)}: {BATCH_TOKENS} tokens at once, and the process itself",
        f"margin {size(margin)}: {MARGIN:.0%} of the above",
        f"together {size(total)} of {size(available_bytes)} free in {where}: {label.replace('_', ' ')}",
    )
    return Fit(
        label=label,
        weights_bytes=weights,
        kv_bytes=kv,
        compute_bytes=compute,
        margin_bytes=margin,
        total_bytes=total,
        available_bytes=available_bytes,
        where=where,
        context=held,
        lines=lines,
    )


def compute_bytes(header: Header) -> int:
    """The scratch memory for one batch: logits over the vocabulary and the widest layer, in 32-bit floats."""
    row = header.vocabulary + 2 * max(header.feed_forward_length, header.embedding_length)
    return PROCESS_BYTES + BATCH_TOKENS * row * 4


def largest_context(header: Header, available_bytes: int, cache_bytes_per_value: float = F16_BYTES) -> int:
    """The most tokens that still fit, in whole 256s and at most the trained context; 0 if not even 256 do."""
    per_token = header.kv_values_per_token * cache_bytes_per_value
    room = available_bytes / (1 + MARGIN) - header.tensor_bytes - compute_bytes(header)
    top = header.context_max or 131_072
    if room <= 0:
        return 0
    tokens = top if per_token == 0 else min(top, int(room / per_token))
    return tokens if tokens == top else tokens // 256 * 256


def size(count: int) -> str:
    """Bytes for a person: `98.4 MB`, decimal like file managers."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
