"""Rows of a user's file -> examples: an input and a target as text, and the row's other columns."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline import rowfiles
from pipeline.errors import InputError
from pipeline.nearness import normalised

Row = dict[str, Any]
MANY_COLUMNS = 12  # more are not listed in an error


@dataclass(frozen=True)
class Example:
    """One row. `number` counts the file's rows from 1, the header apart; `columns` has all names, and used ones' texts.

    `input` is all that the row puts into the prompt: its input column, and others where the prompt has them; `pieces`
    has the columns one by one.
    """

    number: int
    input: str
    target: str
    columns: dict[str, str]
    pieces: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, ...]:
        """The input without its case and marks: examples with equal keys ask the same."""
        return normalised(self.input)


def read_examples(path: Path, input_column: str, target_column: str, also: Collection[str] = ()) -> list[Example]:
    """The examples of a file, empty ones included. Raises InputError for a column, DataError as `read_rows`.

    `also` are further columns that the prompt names; the values of all others are not looked at, and are "".
    """
    rows = rowfiles.read_rows(path)
    if input_column == target_column:
        raise InputError(f"--input and --target: both are '{input_column}': name two columns")
    for option, column in (("--input", input_column), ("--target", target_column)):
        _check_column(path, rows, option, column)
    names = dict.fromkeys(name for row in rows for name in row)  # JSON Lines may leave some out
    used = {input_column, target_column, *also}
    examples = []
    for number, row in enumerate(rows, start=1):
        texts = dict.fromkeys(map(str, names), "")
        for name in used & names.keys():
            texts[name] = text_of(row.get(name), f"{path}, row {number}, column {name}")
        examples.append(Example(number, texts[input_column], texts[target_column].strip(), texts))
    return examples


def asking(examples: Sequence[Example], columns: Sequence[str]) -> list[Example]:
    """The same examples where a prompt has these columns, in this order; what is empty stays so."""
    told = [tuple(each.columns.get(name, "") for name in columns) for each in examples]
    return [
        replace(each, input="\n".join(pieces), pieces=pieces) if each.input.strip() else each
        for each, pieces in zip(examples, told, strict=True)
    ]


def _check_column(path: Path, rows: Sequence[Row], option: str, column: str) -> None:
    columns = list(dict.fromkeys(str(name) for row in rows for name in row))
    if column in columns:
        if option == "--input" and set("{}") & set(column):
            raise InputError(f"{path}: --input {column}: braces mark columns in prompts: rename the column")
        return
    blank = any(name != name.strip() for name in columns)  # which nobody sees without quotes
    shown = ", ".join([repr(name) if blank else name for name in columns[:MANY_COLUMNS]]) + (
        " ..." if len(columns) > MANY_COLUMNS else ""
    )
    separator = next((mark for mark in ";\t|" if len(columns) == 1 and mark in columns[0]), "")
    hint = (
        f"it seems to be separated by '{separator}': save it with commas"
        if separator.strip()
        else f"columns are {shown}"
    )
    if separator == "\t":
        hint = "it seems to be separated by tabs: call it .tsv"
    raise InputError(f"{path}: {option} {column}: there is no such column: {hint}")


def text_of(value: Any, where: str = "") -> str:
    """A value as text: whole floats without `.0`, lists and objects as JSON; "" for none and NaN. Raises InputError."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise InputError(f"{where}: half of a surrogate pair, which is no text: correct it")
        return value.replace("\r\n", "\n")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise InputError(f"{where}: bytes that are no UTF-8 text: make it a column of text") from None
    return str(value)
