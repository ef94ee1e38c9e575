"""What a GGUF file says of itself: its metadata, and where each tensor lies. No tensor is read, nothing is trusted.

The format (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), little-endian: the magic `GGUF`, a version, the
numbers of tensors and of metadata pairs; the pairs; per tensor a name, dimensions (fastest first), a type and an
offset; after padding the data. Every length is checked against the file before anything is made from it.
"""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import InputError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
STRING, ARRAY = 8, 9
# value types of fixed size: number -> struct format
FIXED = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
MOST_DIMENSIONS = 4  # ggml's own limit
ALIGNMENT = 32  # where the file names none


class TensorPlace(NamedTuple):
    """Where a tensor lies: `size` bytes from byte `begin` of the file, in ggml's type number `kind`."""

    name: str
    shape: tuple[int, ...]  # as torch has it: slowest first
    kind: int
    kind_name: str
    begin: int
    size: int

    @property
    def numbers(self) -> int:
        """How many numbers the tensor has."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Header:
    """A whole GGUF file, but for the tensors' data."""

    path: Path
    metadata: dict[str, Any]
    tensors: dict[str, TensorPlace]

    @property
    def architecture(self) -> str:
        """What the file calls its architecture: llama, qwen3 ..."""
        return str(self.metadata.get("general.architecture", ""))

    def get(self, key: str, default: Any = None) -> Any:
        """The value of `ARCHITECTURE.key`."""
        return self.metadata.get(f"{self.architecture}.{key}", default)

    @property
    def quantisation(self) -> str:
        """The type in which most of the file's numbers are stored."""
        counts: dict[str, int] = {}
        for tensor in self.tensors.values():
            counts[tensor.kind_name] = counts.get(tensor.kind_name, 0) + tensor.numbers
        return max(counts, key=lambda name: counts[name], default="none")

    @property
    def parameters(self) -> int:
        """How many numbers the file's tensors have."""
        return sum(tensor.numbers for tensor in self.tensors.values())


def is_gguf(path: Path) -> bool:
    """Whether the file begins as a GGUF file does."""
    try:
        with path.open("rb") as file:
            return file.read(4) == MAGIC
    except OSError:
        return False


def read_header(path: Path) -> Header:
    """Read a file's header. Raises InputError, one line: not GGUF, cut off, broken, or of a type that is not known."""
    try:
        with path.open("rb") as file:
            if file.read(4) != MAGIC:
                raise InputError(f"{path}: not a GGUF file (it does not begin with {MAGIC.decode()})")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _header(path, data)
    except (struct.error, IndexError, OverflowError):
        raise InputError(f"{path}: the GGUF file is cut off in its header: fetch it again") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: a broken GGUF file (a name in it is not UTF-8): fetch it again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None


def _header(path: Path, data: mmap.mmap) -> Header:
    reader = _Reader(path, data, 4)
    version, tensors, pairs = reader.numbers("IQQ")
    if version not in VERSIONS:
        raise InputError(
            f"{path}: GGUF version {version} is not known, only {VERSIONS[0]} and {VERSIONS[1]}: convert it anew"
        )
    metadata: dict[str, Any] = {}
    for _ in range(pairs):
        key = reader.text()
        if key in metadata:
            raise reader.broken(f"the key {key[:60]!r} is there twice")
        metadata[key] = reader.value(*reader.numbers("I"))
    found = [reader.tensor() for _ in range(tensors)]
    alignment = metadata.get("general.alignment", ALIGNMENT)
    if type(alignment) is not int or alignment < 1 or alignment & (alignment - 1):
        raise reader.broken(f"its alignment is {alignment!r}")
    start = -(-reader.at // alignment) * alignment
    places: dict[str, TensorPlace] = {}
    for tensor in found:
        placed = tensor._replace(begin=start + tensor.begin)
        if placed.name in places:
            raise reader.broken(f"the tensor {placed.name[:60]!r} is there twice")
        if placed.begin + placed.size > len(data):
            raise InputError(
                f"{path}: the GGUF file is cut off: {placed.name[:60]} lies beyond its end: fetch it again"
            )
        places[placed.name] = placed
    return Header(path, metadata, places)


class _Reader:
    """Reads one value after the other; what lies beyond the file's end is a struct.error."""

    def __init__(self, path: Path, data: mmap.mmap, at: int) -> None:
        self.path, self.data, self.at = path, data, at

    def broken(self, what: str) -> InputError:
        return InputError(f"{self.path}: a broken GGUF file ({what}): fetch it again")

    def numbers(self, form: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{form}", self.data, self.at)
        self.at += struct.calcsize(f"<{form}")
        return found

    def text(self) -> str:
        (length,) = self.numbers("Q")
        end = self.at + length
        if end > len(self.data):
            raise struct.error("a text beyond the file's end")
        found = self.data[self.at : end].decode("utf-8")
        self.at = end
        return found

    def value(self, kind: int) -> Any:
        if kind == STRING:
            return self.text()
        if kind == ARRAY:
            return self._array()
        if kind not in FIXED:
            raise self.broken(f"a value of type {kind}")
        return self.numbers(FIXED[kind])[0]

    def _array(self) -> list[Any]:
        kind, count = self.numbers("IQ")
        if kind == STRING:
            return [self.text() for _ in range(count)]
        if kind not in FIXED:  # arrays of arrays are in no file that was met
            raise self.broken(f"an array of type {kind}")
        if count * struct.calcsize(f"<{FIXED[kind]}") > len(self.data) - self.at:
            raise struct.error("an array beyond the file's end")
        return list(self.numbers(f"{count}{FIXED[kind]}"))

    def tensor(self) -> TensorPlace:
        """The next tensor's entry; its `begin` counts from where the data begin."""
        name = self.text()
        (dimensions,) = self.numbers("I")
        if not 1 <= dimensions <= MOST_DIMENSIONS:
            raise self.broken(f"{name[:60]!r} has {dimensions} dimensions")
        shape = tuple(reversed(self.numbers(f"{dimensions}Q")))
        kind, begin = self.numbers("IQ")
        block, width, kind_name = self._sizes(name, kind)
        if 0 in shape or shape[-1] % block:
            raise self.broken(f"{name[:60]!r} of shape {list(shape)} is not made of {kind_name}'s blocks of {block}")
        return TensorPlace(name, shape, kind, kind_name, begin, math.prod(shape) // block * width)

    def _sizes(self, name: str, kind: int) -> tuple[int, int, str]:
        """Numbers per block, bytes per block and name of a ggml type. Raises InputError if it cannot be unpacked."""
        from gguf import GGML_QUANT_SIZES, GGMLQuantizationType  # numpy and tables: a tenth of a second

        try:
            known = GGMLQuantizationType(kind)
        except ValueError:
            raise InputError(
                f"{self.path}: {name[:60]} is quantised in a way that is not known (ggml type {kind}): name a file in "
                f"{', '.join(COMMON)}, or update the package gguf"
            ) from None
        if known.name not in unpackable():
            raise InputError(
                f"{self.path}: {name[:60]} is stored as {known.name}, which cannot be unpacked here: name a file in "
                f"{', '.join(COMMON)}"
            )
        return (*GGML_QUANT_SIZES[known], known.name)


COMMON = ("Q4_K", "Q5_K", "Q6_K", "Q8_0", "BF16", "F16", "F32")  # what an error offers


def unpackable() -> frozenset[str]:
    """The ggml types that the package gguf turns into numbers, by name."""
    from gguf import GGMLQuantizationType, quants

    packed = {kind.name for kind in GGMLQuantizationType if hasattr(quants, kind.name)}
    return frozenset(packed | {"F32", "F16"})
