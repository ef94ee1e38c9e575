"""Rows of a user, and the files that they may come in."""

from __future__ import annotations

import csv
import gzip
import io
import json

from pipeline import benchmarks
from pipeline.types import ItemsKey

HARD = [
    'say "hi", now',
    "two\nlines here",
    "tab\there ok",
    "naïve café 日本語",
    "semi;colon, comma",
    "line\u2028separator",
]
KINDS = ("animal", "plant", "stone")


def rows(n=400, start=0):
    """Rows that nothing repeats, a few of them hard to write down, with one of three labels."""
    made = []
    for number in range(start, start + n):
        asked = (
            HARD[number] if number < len(HARD) else f"thing w{number * 7919 % 99991} of sort q{number * 104729 % 99989}"
        )
        made.append({"text": asked, "kind": KINDS[number % 3], "id": str(number)})
    return made


def delimited(found, delimiter, bom=False, ending="\r\n"):
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(found[0]), delimiter=delimiter, lineterminator=ending)
    writer.writeheader()
    writer.writerows(found)
    return (b"\xef\xbb\xbf" if bom else b"") + text.getvalue().encode()


def write(path, found):
    """The rows in the form that a file's name asks for."""
    kind = path.name.split(".", 1)[1]
    if kind == "parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(found), path)
        return path
    data = {
        "csv": lambda: delimited(found, ","),
        "csv.gz": lambda: gzip.compress(delimited(found, ",", bom=True)),
        "tsv": lambda: delimited(found, "\t", bom=True, ending="\n"),
        "jsonl": lambda: "\n".join(json.dumps(row, ensure_ascii=False) for row in found).encode(),
        "json": lambda: json.dumps({"data": found}).encode(),
    }[kind]()
    path.write_bytes(data)
    return path


def items(folder, split):
    """The items of a made task."""
    return benchmarks.items(benchmarks.load_benchmark(folder), split, ItemsKey())
