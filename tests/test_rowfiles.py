from __future__ import annotations

import json

import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from pipeline.errors import DataError
from pipeline.rowfiles import READERS, read_rows

ROWS = [{"question": "Was\u2028ist, 'so'?", "answer": 'ein "Wort"\nund é'}, {"question": "b", "answer": "c"}]


def written(tmp_path, suffix):
    path = tmp_path / f"rows{suffix}"
    quoted = [[f'"{value.replace(chr(34), chr(34) * 2)}"' for value in row.values()] for row in ROWS]
    if suffix == ".parquet":
        parquet.write_table(arrow.Table.from_pylist(ROWS), path)
    elif suffix == ".json":
        path.write_text(json.dumps(ROWS), encoding="utf-8")
    elif suffix in (".csv", ".tsv"):
        separator = "," if suffix == ".csv" else "\t"
        lines = [separator.join(cells) for cells in [["question", "answer"], *quoted]]
        path.write_text("\r\n".join(lines) + "\r\n", encoding="utf-8", newline="")
    else:
        path.write_text("\n\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS), encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", sorted(READERS))
def test_every_file_type_gives_the_same_rows(tmp_path, suffix):
    assert read_rows(written(tmp_path, suffix)) == ROWS


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json"])
def test_a_byte_order_mark_is_no_part_of_the_data(tmp_path, suffix):
    path = written(tmp_path, suffix)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_rows(path) == ROWS


def test_an_object_around_the_list_is_taken_off(tmp_path):
    path = tmp_path / "export.json"
    path.write_text(json.dumps({"version": 1, "data": ROWS}))
    assert read_rows(path) == ROWS


def test_a_cell_may_be_long(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text(f"text\n{'a' * 300_000}\n")
    assert len(read_rows(path)[0]["text"]) == 300_000


@pytest.mark.parametrize("suffix", sorted(READERS))
def test_an_empty_file_is_an_error_of_one_line(tmp_path, suffix):
    path = tmp_path / f"empty{suffix}"
    path.touch()
    if suffix == ".parquet":
        parquet.write_table(arrow.Table.from_pylist([], schema=arrow.schema([("a", arrow.string())])), path)
    with pytest.raises(DataError, match="the file has no rows: fill it"):
        read_rows(path)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".json", ".jsonl"])
def test_a_file_that_is_not_utf8_names_line_and_byte(tmp_path, suffix):
    path = tmp_path / f"latin{suffix}"
    path.write_bytes("question\nFühlst du?\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"line 2: not UTF-8 text \(byte 0xfc\): save it as UTF-8"):
        read_rows(path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", '{"a": 1}\n{"a": \n', "line 2: not JSON"),
        ("a.jsonl", '{"a": 1}\n\n[1]\n', "line 3: an object is needed, found list"),
        ("a.json", '[{"a": 1},\n {"a"}]', "line 2: not JSON"),
        ("a.json", "3", "a list of objects is needed, found int"),
        ("a.json", '[{"a": 1}, 2]', "row 2: an object is needed, found int"),
        ("a.csv", "q,a\n1,2\n3\n", "line 3: 1 values for 2 columns"),
        ("a.csv", "q,a\n1,2,3\n", "line 2: 3 values for 2 columns"),
        ("a.csv", "q,q\n1,2\n", "column names must be given and differ"),
        ("a.csv", 'q,a\n1,"2\n', "line 2: unexpected end of data"),
        ("a.parquet", "not one", "not a readable Parquet file"),
        ("a.xlsx", "x", "cannot read '.xlsx' files: use one of .csv, .json"),
    ],
)
def test_broken_files_say_what_and_where(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(DataError, match="^[^\n]*$") as caught:
        read_rows(path)
    assert str(path) in str(caught.value) and said in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_rows(tmp_path / "nothing.csv")
