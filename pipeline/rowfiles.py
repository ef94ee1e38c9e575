"""Rows of data from a file: JSON, JSON Lines, CSV, TSV (gzipped or not) or Parquet. An error says what and where."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
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
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path}: not a whole gzip file ({error}): copy it anew") from None
    try:
        text = data.decode("utf-8-sig")  # spreadsheets put a byte order mark first
        wrong = data.find(b"\0")  # in UTF-8 nobody means it, in UTF-16 every second byte is one
    except UnicodeDecodeError as error:
        wrong = error.start
    if wrong >= 0:
        line = data.count(b"\n", 0, wrong) + 1
        raise DataError(f"{path}, line {line}: not UTF-8 text (byte 0x{data[wrong]:02x}): save it as UTF-8")
    return text


def _json(path: Path) -> list[Row]:
    text = _text(path)
    if not text.strip():
        return []
    value = _value(text, path, None)
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
        row = _value(line, path, number)
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: an object is needed, found {type(row).__name__}")
        rows.append(row)
    return rows


def _value(text: str, path: Path, line: int | None) -> Any:
    """The JSON value of a line, or of a whole file (`line` None)."""
    where, what = (f"{path}, line {line}", "correct or remove it") if line else (str(path), "correct it")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        if not line:
            where = f"{path}, line {error.lineno}"
            what = "one object a line is JSON Lines: call it .jsonl" if error.msg == "Extra data" else what
        raise DataError(f"{where}: not JSON ({error.msg}): {what}") from None
    except RecursionError:
        raise DataError(f"{where}: JSON that is nested too deeply: {what}") from None
    except ValueError:  # Python's own limit to the digits of an integer
        raise DataError(f"{where}: a number with thousands of digits: {what}, or make it a text") from None


def _separated(delimiter: str) -> Callable[[Path], list[Row]]:
    def read(path: Path) -> list[Row]:
        csv.field_size_limit(_LONGEST_CELL)
        lines = csv.reader(io.StringIO(_text(path), newline=""), delimiter=delimiter, strict=True)
        header: list[str] = []
        rows: list[Row] = []
        begun = 1  # the line on which a record begins: a value in quotes may go over several
        try:
            for cells in lines:
                if header and cells:
                    rows.append(_cells(path, begun, header, cells))
                elif len(cells) > 1 or any(map(str.strip, cells)):
                    header = _header(path, begun, cells)
                begun = lines.line_num + 1
        except csv.Error as error:
            reason = "a quote that is opened here is never closed" if "end of data" in str(error) else str(error)
            raise DataError(f"{path}, line {begun}: {reason}: correct the quotes or the separator") from None
        return rows

    return read


def _header(path: Path, line: int, names: list[str]) -> list[str]:
    if len(set(names)) < len(names) or not all(map(str.strip, names)):
        raise DataError(f"{path}, line {line}: column names must be given and differ, found {names}")
    return names


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
        names = parquet.read_schema(path).names
        if len(set(names)) < len(names):
            raise DataError(f"{path}: column names must differ, found {names}: rename them")
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
