"""Rows of data from a file: JSON, JSON Lines, CSV, TSV (gzipped or not) or Parquet. An error says what and where."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.errors import DataError

Row = dict[str, Any]
_LONGEST_CELL = 2**31 - 1  # csv's own limit of 131,072 characters is shorter than some rows


def read_rows(path: Path) -> list[Row]:
    """The rows of a data file, by its suffix. Raises DataError: missing, empty, not UTF-8, broken (with the line)."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    reader = READERS.get(suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: cannot read '{path.suffix}' files: use one of {', '.join(sorted(READERS))}")
    if not path.is_file():
        raise DataError(f"{path}: no such file: correct the path")
    rows = reader(path)
    if not rows:
        raise DataError(f"{path}: the file has no rows: fill it, or leave the source out")
    return rows


def _text(path: Path) -> str:
    data = path.read_bytes()
    if path.suffix.lower() == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError) as error:
            raise DataError(f"{path}: not a whole gzip file ({error}): copy it anew") from None
    try:
        return data.decode("utf-8-sig")  # spreadsheets put a byte order mark first
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line}: not UTF-8 text (byte 0x{data[error.start]:02x}): save it as UTF-8"
        ) from None


def _json(path: Path) -> list[Row]:
    text = _text(path)
    if not text.strip():
        return []
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: not JSON ({error.msg}): correct it") from None
    if isinstance(value, dict):  # {"data": [...]}, as many exports have it
        lists = [item for item in value.values() if isinstance(item, list)]
        value = lists[0] if len(lists) == 1 else [value]
    if not isinstance(value, list):
        raise DataError(f"{path}: a list of objects is needed, found {type(value).__name__}")
    for number, row in enumerate(value, start=1):
        if not isinstance(row, dict):
            raise DataError(f"{path}, row {number}: an object is needed, found {type(row).__name__}")
    return value


def _jsonl(path: Path) -> list[Row]:
    rows = []
    for number, line in enumerate(_text(path).split("\n"), start=1):  # splitlines would cut at U+2028 inside texts
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}, line {number}: not JSON ({error.msg}): correct or remove it") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: an object is needed, found {type(row).__name__}")
        rows.append(row)
    return rows


def _separated(delimiter: str) -> Callable[[Path], list[Row]]:
    def read(path: Path) -> list[Row]:
        csv.field_size_limit(_LONGEST_CELL)
        lines = csv.reader(io.StringIO(_text(path), newline=""), delimiter=delimiter, strict=True)
        try:
            header = next(lines, [])
            if len(set(header)) < len(header) or (header and not all(name.strip() for name in header)):
                raise DataError(f"{path}, line 1: column names must be given and differ, found {header}")
            return [_cells(path, lines.line_num, header, cells) for cells in lines if cells]
        except csv.Error as error:
            raise DataError(f"{path}, line {lines.line_num}: {error}: correct the quotes or the separator") from None

    return read


def _cells(path: Path, line: int, header: list[str], cells: list[str]) -> Row:
    if len(cells) != len(header):
        raise DataError(
            f"{path}, line {line}: {len(cells)} values for {len(header)} columns: put values that hold the separator "
            "in quotes"
        )
    return dict(zip(header, cells, strict=True))


def _parquet(path: Path) -> list[Row]:
    import pyarrow  # type: ignore[import-untyped]
    import pyarrow.parquet as parquet  # type: ignore[import-untyped]

    try:
        return parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: not a readable Parquet file ({reason}): write it anew") from None


READERS: dict[str, Callable[[Path], list[Row]]] = {
    ".json": _json,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".csv": _separated(","),
    ".tsv": _separated("\t"),
    ".parquet": _parquet,
}
