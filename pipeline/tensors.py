"""Whether weights are whole, and whether two models have the same, told from safetensors files without loading them.

The format: 8 bytes, little-endian, the length of a JSON header; the header, name -> dtype, shape and data_offsets; the
data (https://github.com/huggingface/safetensors).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.errors import InputError

WEIGHTS = "*.safetensors"
MOST_HEADER_BYTES = 100_000_000  # the format's own limit
CHUNK = 2**22  # numbers compared at a time
_TYPES: Mapping[str, Any] = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16}
_WHOLE: Mapping[str, Any] = {"I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8, "U8": np.uint8}


class Tensor(NamedTuple):
    """Where a tensor lies: its numbers begin at byte `begin` of `file`."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    begin: int
    size: int  # numbers
    end: int  # the byte after its last one


def tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of a folder by name. Raises InputError naming a file that is not of the format."""
    found: dict[str, Tensor] = {}
    for file in sorted(folder.glob(WEIGHTS)):
        found |= _read(file)
    return found


def check(folder: Path) -> None:
    """Raises InputError naming a file that cannot be read, is not of the format or was cut off; reads headers only."""
    for file in sorted(folder.glob(WEIGHTS)):
        if file.name.startswith("."):  # what a file manager left: nobody loads it
            continue
        try:
            found, length = _read(file), file.stat().st_size
        except OSError as error:
            raise InputError(f"{file}: cannot be read ({error.strerror}): copy it anew") from None
        if max(each.end for each in found.values()) > length:
            _refuse(file)


def same_weights(a: Path, b: Path) -> bool:
    """Whether the models in two folders are one: equal in every number that both have, however it is stored.

    Stops at the first difference, so that different models take no time.
    """
    of_a, of_b = tensors(a), tensors(b)
    shared = [name for name in of_a if name in of_b]
    if 2 * len(shared) <= max(len(of_a), len(of_b)):  # a tied output layer may be left out, not half a model
        return False
    if any(of_a[name].shape != of_b[name].shape for name in shared):
        return False
    return all(_equal(of_a[name], of_b[name]) for name in sorted(shared, key=lambda name: of_a[name].size))


def _read(file: Path) -> dict[str, Tensor]:
    try:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            header = json.loads(opened.read(length)) if 2 <= length <= MOST_HEADER_BYTES else None
        return {
            name: Tensor(
                file, str(entry["dtype"]), tuple(entry["shape"]), 8 + length + int(entry["data_offsets"][0]),
                int(np.prod(entry["shape"], dtype=np.int64)), 8 + length + int(entry["data_offsets"][1]),
            )
            for name, entry in dict(header or {}).items()
            if name != "__metadata__"
        } or _refuse(file)  # fmt: skip
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError):
        return _refuse(file)


def _refuse(file: Path) -> dict[str, Tensor]:
    raise InputError(f"{file}: not a whole safetensors file: copy it anew, or save the model again")


def _equal(a: Tensor, b: Tensor) -> bool:
    for start in range(0, max(a.size, 1), CHUNK):
        left, right = _numbers(a, start), _numbers(b, start)
        if left is None or right is None or not np.array_equal(left, right, equal_nan=True):
            return False
    return True


def _numbers(tensor: Tensor, start: int) -> npt.NDArray[Any] | None:
    """Numbers from `start` on, as float32 or wider where they are not whole; None for types that are not compared."""
    kind = _TYPES.get(tensor.dtype) or _WHOLE.get(tensor.dtype)
    if kind is None:
        return None
    count, width = min(CHUNK, tensor.size - start), np.dtype(kind).itemsize
    with tensor.file.open("rb") as opened:
        opened.seek(tensor.begin + start * width)
        data = opened.read(count * width)
    if len(data) != count * width:  # cut off
        return None
    found = np.frombuffer(data, dtype=np.dtype(kind).newbyteorder("<"))
    if tensor.dtype == "BF16":  # the upper half of a float32
        return (found.astype(np.uint32) << 16).view(np.float32)
    return found.astype(np.float32) if tensor.dtype in ("F32", "F16") else found
