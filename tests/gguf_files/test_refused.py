"""What is no GGUF file, or none that can be converted, is refused in one line before anything is made."""

from __future__ import annotations

import random
import struct

import pytest

from pipeline import models
from pipeline.errors import InputError
from pipeline.gguf_files import convert
from pipeline.gguf_files.header import read_header
from tests import foreign_models, gguf_models
from tests.foreign_models import CHATML


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("POSTTRAIN_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return foreign_models.llama(tmp_path_factory.mktemp("models") / "llama", foreign_models.tokenizer(CHATML))


@pytest.fixture
def file(tmp_path, llama):
    return gguf_models.write(llama, tmp_path / "m.gguf", "Q8_0")


def refusal(file):
    """The one line with which a file is refused, by the check or by the conversion."""
    with pytest.raises(InputError) as caught:
        models.check(str(file))
        convert.convert(file)
    line = str(caught.value)
    assert "\n" not in line and str(file) in line and not convert.listing()
    return line


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ({"general.architecture": "mamba"}, "a GGUF architecture 'mamba' is not known"),
        ({"llama.block_count": None}, "lacks llama.block_count"),
        ({"llama.block_count": 7}, "blk.2.attn_q.weight is missing"),
        ({"llama.block_count": 10**6}, "1000000 layers"),
        ({"llama.embedding_length": 64}, "shape"),
        ({"llama.expert_count": 8}, "a mixture of experts"),
        ({"llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": 4.0}, "stretched by 'yarn'"),
        ({"llama.rope.dimension_count": 4}, "4 rotated"),
        ({"split.count": 3}, "one of 3 parts: join them"),
        ({"general.type": "adapter"}, "holds a adapter, not a model"),
        ({"tokenizer.ggml.tokens": None}, "holds no tokenizer"),
        ({"tokenizer.ggml.pre": "viking"}, "cuts words in a way that is not known"),
        ({"tokenizer.ggml.model": "rwkv"}, "its tokenizer cannot be read"),
        ({"general.alignment": 12}, "alignment"),
    ],
)
def test_what_a_file_says_that_has_no_place_is_refused(tmp_path, llama, metadata, told):
    name = metadata.pop("general.architecture", None)
    file = gguf_models.write(llama, tmp_path / "m.gguf", **metadata)
    if name:
        file.write_bytes(file.read_bytes().replace(b"llama", name.encode()))
    assert told in refusal(file)


def test_a_tensor_that_is_missing_or_fits_nowhere_is_named(tmp_path, llama):
    assert "blk.1.ffn_up.weight is missing" in refusal(
        gguf_models.write(llama, tmp_path / "a.gguf", drop="blk.1.ffn_up.weight")
    )
    stray = gguf_models.write(llama, tmp_path / "b.gguf")
    stray.write_bytes(stray.read_bytes().replace(b"blk.1.ffn_up.weight", b"blk.1.ffn_xx.weight"))
    assert "blk.1.ffn_xx.weight fits nowhere in llama" in refusal(stray)


def test_a_quantisation_that_is_not_known_is_named(file):
    header = read_header(file)
    data, name = bytearray(file.read_bytes()), b"blk.0.attn_q.weight"
    at = data.index(name) + len(name) + 4 + 2 * 8  # dimensions, their sizes, then the type
    assert struct.unpack_from("<I", data, at) == (header.tensors[name.decode()].kind,)
    struct.pack_into("<I", data, at, 999)
    file.write_bytes(data)
    assert "quantised in a way that is not known (ggml type 999)" in refusal(file)
    struct.pack_into("<I", data, at, 9)  # Q8_1, which holds products on the way, never weights
    file.write_bytes(data)
    assert "stored as Q8_1, which cannot be unpacked" in refusal(file)


def test_numbers_that_are_not_finite_are_refused(tmp_path, llama):
    file = gguf_models.write(llama, tmp_path / "m.gguf", "F32")
    place = read_header(file).tensors["blk.1.ffn_up.weight"]
    data = bytearray(file.read_bytes())
    struct.pack_into("<f", data, place.begin + 40, float("nan"))
    file.write_bytes(data)
    assert "blk.1.ffn_up.weight holds numbers that are not finite" in refusal(file)


@pytest.mark.parametrize("content", [b"", b"GG", b"not a model at all", b"GGUF", b"GGUF" + bytes(8), b"PK\x03\x04" * 9])
def test_what_is_no_gguf_file_is_refused(tmp_path, content):
    file = tmp_path / "m.gguf"
    file.write_bytes(content)
    assert "GGUF" in refusal(file)


def test_another_version_is_refused(file):
    data = bytearray(file.read_bytes())
    struct.pack_into("<I", data, 4, 1)
    file.write_bytes(data)
    assert "GGUF version 1 is not known" in refusal(file)


def test_a_file_that_is_cut_off_anywhere_is_refused(file):
    data = file.read_bytes()
    places = random.Random(0).sample(range(4, len(data) - 1), 60)
    for end in (*places, len(data) - 1):
        file.write_bytes(data[:end])
        with pytest.raises(InputError, match="cut off"):
            models.check(str(file))


def test_a_file_damaged_anywhere_in_its_header_is_refused_or_read_but_never_hangs(file):
    data, rng = file.read_bytes(), random.Random(1)
    begin = min(place.begin for place in read_header(file).tensors.values())
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(rng.randint(1, 8)):
            damaged[rng.randrange(begin)] = rng.randrange(256)
        file.write_bytes(damaged)
        try:
            convert.check_file(file)
        except InputError as error:
            assert "\n" not in str(error)


def test_huge_lengths_are_seen_before_anything_is_made_from_them(tmp_path):
    file = tmp_path / "m.gguf"
    pair = struct.pack("<Q", 1) + b"a" + struct.pack("<IIQ", 9, 0, 2**62)  # an array of 2^62 bytes
    for body in (pair, struct.pack("<Q", 2**63)):
        file.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 2**60, 2**60) + body)
        assert "cut off" in refusal(file)


def test_a_missing_file_is_named_with_what_exists():
    with pytest.raises(InputError, match="no such folder or GGUF file.*smollm2-135m"):
        models.check("./nowhere.gguf")
    with pytest.raises(InputError, match="no such folder or GGUF file"):
        models.check("models/nowhere.gguf")
