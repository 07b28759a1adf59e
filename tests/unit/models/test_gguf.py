"""A GGUF header is believed only where the file's own length bears it out."""

import io
import os
import random
import resource
import struct
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.kernel.errors import Corrupt, InvalidInput
from legion_core.models.gguf import Header, parse, read_header, template_warnings
from legion_core.testing.engines import starter_model
from legion_core.testing.gguf_files import ToyFile, ToyTensor, toy_bytes, write_toy

FUZZ_COUNT = int(os.environ.get("LEGION_FUZZ_COUNT", "3000"))  # the promise is kept at 50,000


def _read(data: bytes) -> Header:
    return parse(io.BytesIO(data), len(data), "toy.gguf")


def _with(**changes: object) -> bytes:
    return toy_bytes(replace(ToyFile(), **changes))  # type: ignore[arg-type]


def _pairs(**pairs: object) -> bytes:
    return _with(pairs={**ToyFile().pairs, **{key.replace("__", "."): value for key, value in pairs.items()}})


def test_an_honest_file_tells_what_it_is() -> None:
    header = _read(toy_bytes())
    assert header.architecture == "llama"
    assert (header.name, header.licence, header.quantisation) == ("Toy", "apache-2.0", "F32")
    assert (header.layers, header.heads, header.kv_heads) == (2, 4, 2)
    assert header.kv_values_per_token == 2 * 2 * (8 + 8)
    assert header.context_max == 2048
    assert header.parameters == 2 * 32 * 4
    assert header.tensor_bytes == 2 * 512
    assert header.has_template
    assert header.template_warnings == ()
    assert header.data_end_bytes <= header.file_bytes


@pytest.mark.model
def test_the_starter_model_is_read_as_the_reference_reader_reads_it() -> None:
    path = starter_model()
    if path is None:
        pytest.skip("the starter model is not installed")
    header = read_header(path)
    assert header.architecture == "llama"
    assert header.parameters == 134_515_008
    assert header.quantisation == "Q4_1"
    assert header.context_max == 8192
    assert (header.layers, header.heads, header.kv_heads) == (30, 9, 3)
    assert header.vocabulary == 49_152
    assert header.data_end_bytes == path.stat().st_size


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a GGUF"),
        (b"GGUF", "not a GGUF"),
        (b"PK\x03\x04" + bytes(100), "not a GGUF"),
        (_with(magic=b"GGML"), "not a GGUF"),
        (_with(version=1), "version 1"),
        (_with(version=4), "version 4"),
        (_with(version=0x03000000), "big-endian"),
        (_with(tensors=(), tensor_count=0), "no weights"),
        (_with(tensors=(ToyTensor("t", kind=77),)), "tensor type 77"),
    ],
)
def test_what_is_not_for_us_is_named(data: bytes, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        _read(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (_with(tensor_count=2**63), "tensors"),
        (_with(pair_count=2**63), "metadata entries"),
        (_with(tensor_count=100_001), "100001 tensors"),
        (_pairs(general__alignment=0), "alignment"),
        (_pairs(general__alignment=48), "alignment"),
        (_pairs(general__alignment=2**40), "alignment"),
        (_pairs(general__alignment="32"), "alignment"),
        (_with(tensors=(ToyTensor("a"), ToyTensor("a"))), "twice"),
        (_with(tensors=(ToyTensor("a", shape=()),)), "0 dimensions"),
        (_with(tensors=(ToyTensor("a", shape=(1, 1, 1, 1, 1)),)), "5 dimensions"),
        (_with(tensors=(ToyTensor("a", shape=(2**32, 2**32)),)), "values"),
        (_with(tensors=(ToyTensor("a", shape=(2**63, 2)),)), "values"),
        (_with(tensors=(ToyTensor("a", shape=(0, 2)),)), "0 values"),
        (_with(tensors=(ToyTensor("a", shape=(33, 1), kind=2),)), "whole blocks"),
        (_with(tensors=(ToyTensor("a", offset=7),)), "not aligned"),
        (_with(tensors=(ToyTensor("a"), ToyTensor("b", offset=32))), "lies over another"),
        (_with(tensors=(ToyTensor("a", offset=2**63),)), "cut short"),
        (_with(tensors=(ToyTensor("a", shape=(2**40,)),)), "cut short"),
        (_with(tensors=(ToyTensor("n" * 300),)), "name of 300"),
        (_with(cut_bytes=1), "cut short"),
        (_with(cut_bytes=900), "cut short"),
        (toy_bytes()[:200], "cut short"),
        (_pairs(general__architecture=""), "what kind"),
        (_pairs(general__architecture=7), "what kind"),
    ],
)
def test_a_file_that_lies_is_told_how(data: bytes, words: str) -> None:
    with pytest.raises(Corrupt, match=words) as caught:
        _read(data)
    assert caught.value.hint


def _raw_pair(kind: int, body: bytes) -> bytes:
    key = b"x.y"
    pair = struct.pack("<Q", len(key)) + key + struct.pack("<I", kind) + body
    return b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + pair + bytes(4096)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (_raw_pair(8, struct.pack("<Q", 2**63)), "more than 64 MB"),
        (_raw_pair(8, struct.pack("<Q", 2**64 - 1)), "more than 64 MB"),
        (_raw_pair(8, struct.pack("<Q", 10_000)), "cut short"),
        (_raw_pair(9, struct.pack("<IQ", 8, 2**63)), "texts"),
        (_raw_pair(9, struct.pack("<IQ", 8, 2**20)), "texts"),
        (_raw_pair(9, struct.pack("<IQ", 4, 2**62)), "numbers"),
        (_raw_pair(9, struct.pack("<IQ", 9, 2**60)), "arrays"),
        (_raw_pair(9, struct.pack("<IQ", 9, 1) * 10), "nested"),
        (_raw_pair(9, struct.pack("<IQ", 13, 1)), "unknown type 13"),
        (_raw_pair(99, b""), "unknown type 99"),
        (_raw_pair(7, b"\x02"), "truth value"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + struct.pack("<Q", 2**40) + bytes(99), "key of"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + struct.pack("<Q", 2) + b"\xff\xfe" + bytes(99), "not text"),
    ],
)
def test_metadata_that_lies_is_told_how(data: bytes, words: str) -> None:
    with pytest.raises(Corrupt, match=words):
        _read(data)


def test_a_metadata_key_twice_is_refused() -> None:
    pair = struct.pack("<Q", 3) + b"x.y" + struct.pack("<IB", 0, 1)
    data = b"GGUF" + struct.pack("<IQQ", 3, 1, 2) + pair + pair + bytes(4096)
    with pytest.raises(Corrupt, match=r"'x\.y' twice"):
        _read(data)


def test_per_layer_head_counts_are_added_up() -> None:
    header = _read(_pairs(**{"llama.attention.head_count_kv": [2, 4]}))
    assert header.kv_heads == 4
    assert header.kv_values_per_token == (2 + 4) * 16


def test_a_name_that_would_break_a_list_is_flattened() -> None:
    header = _read(_pairs(general__name="a\nb\x1b[31m" + "x" * 999))
    assert header.name.startswith("a b [31mx")
    assert len(header.name) <= 200


@pytest.mark.parametrize(
    "template",
    [
        "{{ ().__class__.__mro__[1].__subclasses__() }}",
        "{{ x|attr('y') }}",
        "{{ lipsum.globals }}",
        "{% include 'x' %}",
        "ignore\u200ball",
        "x" * 300_000,
    ],
)
def test_a_template_that_does_more_than_write_is_flagged(template: str) -> None:
    assert template_warnings(template)
    assert _read(_pairs(tokenizer__chat_template=template)).template_warnings


def test_a_missing_file_is_an_error_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Corrupt, match="could not be read"):
        read_header(tmp_path / "none.gguf")


@given(st.binary(max_size=400))
def test_noise_is_never_taken_for_a_model(noise: bytes) -> None:
    with pytest.raises((Corrupt, InvalidInput)):
        _read(b"GGUF" + noise)


INTERESTING = [0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1]


def _mutate(rng: random.Random, data: bytearray, head: int) -> bytes:
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(head)
        match rng.randrange(6):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at] = rng.randrange(256)
            case 2:
                struct.pack_into("<Q", data, at, rng.choice(INTERESTING))
            case 3:
                struct.pack_into("<I", data, at, rng.choice(INTERESTING) & 0xFFFFFFFF)
            case 4:
                del data[at : at + rng.randint(1, 40)]
            case _:
                data[at:at] = rng.randbytes(rng.randint(1, 16))
    return bytes(data)


def test_mutated_headers_are_refused_or_stay_inside_their_file() -> None:
    seeds = [toy_bytes(), _pairs(**{"llama.attention.head_count_kv": [2, 4], "x.list": ["y"] * 50})]
    heads = [len(seed) - 1024 for seed in seeds]
    rng = random.Random(20260722)
    accepted = 0
    slowest_s = 0.0
    for number in range(FUZZ_COUNT):
        which = number % len(seeds)
        data = _mutate(rng, bytearray(seeds[which]), heads[which])
        begun_s = time.process_time()
        try:
            header = _read(data)
        except (Corrupt, InvalidInput):
            pass
        else:
            accepted += 1
            assert header.data_end_bytes <= len(data)
            assert 0 < header.tensor_bytes <= len(data)
        slowest_s = max(slowest_s, time.process_time() - begun_s)
    assert accepted > FUZZ_COUNT // 100, "the mutations are so wild that nothing is tested"
    assert slowest_s < 1.0, "processor time, not wall time: the promise is under a second"
    if sys.platform == "linux":
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2_000_000


def test_the_worst_file_that_passes_the_bounds_costs_little(tmp_path: Path) -> None:
    """The dearest metadata there can be: as many texts as allowed, filling the budget."""
    import subprocess

    path = tmp_path / "worst.gguf"
    count = 2_000_000
    with path.open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + struct.pack("<Q", 1) + b"t")
        file.write(struct.pack("<IIQ", 9, 8, count))
        file.write((struct.pack("<Q", 20) + b"x" * 20) * count)
        file.write(bytes(4096))
    code = (
        "import resource, sys, time\nfrom pathlib import Path\n"
        "from legion_core.models.gguf import read_header\n"
        "from legion_core.kernel.errors import Corrupt, InvalidInput\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "t = time.process_time()\n"
        "try: read_header(Path(sys.argv[1]))\n"
        "except (Corrupt, InvalidInput) as error: print(error)\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(time.process_time() - t, (peak - before) / 1024)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    seconds, mebibytes = map(float, done.stdout.splitlines()[-1].split())
    assert seconds < 1.0
    assert mebibytes < 200


def test_a_toy_on_disk_reads_like_one_in_memory(tmp_path: Path) -> None:
    assert read_header(write_toy(tmp_path / "toy.gguf")) == _read(toy_bytes())
