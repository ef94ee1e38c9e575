"""A GGUF file's tensors as a safetensors file, one slice after the other: never more than a slice is in memory.

Numbers are kept as exactly as the file holds them: F32, F16 and BF16 as they are, packed ones as float32 (as bfloat16
in models of a billion parameters and more, whose files are otherwise as large again; the step between two 8-bit packed
values is wider than its rounding).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.errors import InputError
from pipeline.gguf_files.architectures import ARCHITECTURES, ROPE_FREQUENCIES
from pipeline.gguf_files.header import Header, TensorPlace

SLICE = 2**23  # numbers unpacked at a time: 32 MB as float32
LARGE = 1_000_000_000  # parameters from which on packed numbers become bfloat16
PLAIN = {"F32": "F32", "F16": "F16", "BF16": "BF16"}
WIDTH = {"F32": 4, "F16": 2, "BF16": 2}
Told = Callable[[float], None]  # the share that is written


class Part(NamedTuple):
    """A tensor of the model to be written: its name there, where it comes from, and how it is stored."""

    name: str
    source: TensorPlace
    shape: tuple[int, ...]
    dtype: str


def plan(header: Header, wanted: dict[str, tuple[int, ...]], sources: dict[str, str]) -> list[Part]:
    """What is to be written, in the file's order. `wanted`: name -> shape in the model; `sources`: its GGUF name.

    Raises InputError if the file lacks a tensor, has one that fits nowhere, or one of another shape.
    """
    path, by_source = header.path, {source: name for name, source in sources.items()}
    strays = [name for name in header.tensors if name not in by_source and name != ROPE_FREQUENCIES]
    if strays:
        raise InputError(
            f"{path}: the tensor {strays[0][:60]} fits nowhere in {header.architecture}: name the model's Hub id"
        )
    missing = [source for source in by_source if source not in header.tensors]
    if missing:
        raise InputError(f"{path}: the tensor {missing[0]} is missing: fetch the file again")
    parts = []
    for source, place in header.tensors.items():
        if source == ROPE_FREQUENCIES:
            continue
        name = by_source[source]
        if place.shape != wanted[name]:
            found, needed = list(place.shape), list(wanted[name])
            raise InputError(
                f"{path}: the tensor {source} has the shape {found}, its model needs {needed}: fetch the file again"
            )
        parts.append(Part(name, place, place.shape, stored(header, place)))
    return parts


def stored(header: Header, place: TensorPlace) -> str:
    """The safetensors type in which a tensor is kept."""
    if _offset(header, place.name):
        return "F32"
    return PLAIN.get(place.kind_name) or ("BF16" if header.parameters >= LARGE else "F32")


def write(header: Header, parts: list[Part], target: Path, told: Told) -> None:
    """Write the parts as one safetensors file, slice by slice. Raises InputError for numbers that are not finite."""
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for part in parts:
        begin, end = end, end + part.source.numbers * WIDTH[part.dtype]
        entries[part.name] = {"dtype": part.dtype, "shape": list(part.shape), "data_offsets": [begin, end]}
    head = json.dumps(entries, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)  # the data begin at a multiple of 8
    with target.open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        written, every = 0, sum(part.source.numbers for part in parts)
        for part in parts:
            for values in slices(header, part.source):
                _write(file, values, part.dtype)
                written += values.size
                told(written / every)


def slices(header: Header, place: TensorPlace) -> Iterator[npt.NDArray[Any]]:
    """A tensor's numbers, some rows at a time, in transformers' order: float32, or as stored (BF16: as uint16)."""
    from gguf import GGMLQuantizationType, quants

    order, offset = _order(header, place.name, place.shape), _offset(header, place.name)
    rows = place.shape[0] if len(place.shape) > 1 or order is not None else 1
    packed = np.memmap(header.path, np.uint8, "r", place.begin, (rows, place.size // rows))
    step = max(1, SLICE // (place.numbers // rows))
    for begin in range(0, rows, step):
        chosen = slice(begin, begin + step) if order is None else order[begin : begin + step]
        raw = np.ascontiguousarray(packed[chosen])
        if place.kind_name in PLAIN and not offset:
            values: npt.NDArray[Any] = raw.view({"F32": "<f4", "F16": "<f2", "BF16": "<u2"}[place.kind_name])
        else:
            values = quants.dequantize(raw, GGMLQuantizationType(place.kind)).astype(np.float32) - np.float32(offset)
        if not _is_finite(values):
            raise InputError(
                f"{header.path}: the tensor {place.name} holds numbers that are not finite: fetch the file again"
            )
        yield values


def _order(header: Header, name: str, shape: tuple[int, ...]) -> npt.NDArray[Any] | None:
    """The rows in transformers' order, which rotates a head's halves; llama.cpp's lie in pairs. None: as they are."""
    heads = {".attn_q.": "attention.head_count", ".attn_k.": "attention.head_count_kv"}
    key = next((key for part, key in heads.items() if part in name), None)
    if key is None or not ARCHITECTURES[header.architecture].is_permuted:
        return None
    count = header.get(key) or header.get("attention.head_count")
    return np.arange(shape[0]).reshape(count, shape[0] // count // 2, 2).swapaxes(1, 2).ravel()


def _offset(header: Header, name: str) -> float:
    return ARCHITECTURES[header.architecture].norm_offset if name.endswith("norm.weight") else 0.0


def _is_finite(values: npt.NDArray[Any]) -> bool:
    if values.dtype == np.uint16:  # bfloat16: its exponent is all ones where it is no number
        return not bool(((values & 0x7F80) == 0x7F80).any())
    return bool(np.isfinite(values).all())


def _write(file: IO[bytes], values: npt.NDArray[Any], dtype: str) -> None:
    if dtype == "BF16" and values.dtype != np.uint16:
        bits = values.view(np.uint32)
        values = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)  # to nearest, ties to even
    file.write(values.tobytes())
