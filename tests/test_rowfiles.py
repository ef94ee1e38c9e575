from __future__ import annotations

import gzip
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
        ("a.csv", 'q,a\n1,"2\n', "line 2: a quote that is opened here is never closed"),
        ("a.csv", 'q,a\n1,2\n1,"2\n3,4\n5,6\n', "line 3: a quote that is opened here is never closed"),
        ("a.csv", 'q,a\n1,"2\n2"\n3\n', "line 4: 1 values for 2 columns"),
        ("a.csv", "q,a\n1,2\n3,\x00\n", "line 3: not UTF-8 text (byte 0x00): save it as UTF-8"),
        ("a.jsonl", '{"a": 1}\n' + "[" * 100_000, "line 2: JSON that is nested too deeply"),
        ("a.json", "[" * 100_000, "a.json: JSON that is nested too deeply"),
        ("a.jsonl", '{"a": 1}\n{"a": ' + "9" * 5000 + "}", "line 2: a number with thousands of digits"),
        ("a.json", '{"a": 1}\n{"a": 2}\n', "one object a line is JSON Lines: call it .jsonl"),
        ("a.csv.gz", "not one", "not a whole gzip file"),
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


def test_a_gzip_file_with_a_damaged_middle_is_told(tmp_path):
    path = tmp_path / "rows.csv.gz"
    data = bytearray(gzip.compress(b"q,a\n" + b"".join(b"%d,%d\n" % (n, n * n) for n in range(3000))))
    for at in range(len(data) // 2, len(data) // 2 + 40):
        data[at] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DataError, match="not a whole gzip file"):
        read_rows(path)


def test_utf16_without_its_mark_is_told(tmp_path):
    path = tmp_path / "rows.tsv"
    path.write_bytes("q\ta\n1\t2\n".encode("utf-16-le"))
    with pytest.raises(DataError, match="line 1: not UTF-8 text"):
        read_rows(path)


def test_blank_lines_before_the_header_are_nothing(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("\n  \nq,a\n\n1,2\n")
    assert read_rows(path) == [{"q": "1", "a": "2"}]


def test_parquet_columns_of_one_name_are_refused(tmp_path):
    path = tmp_path / "rows.parquet"
    parquet.write_table(arrow.table([["a"], ["b"]], names=["q", "q"]), path)
    with pytest.raises(DataError, match="column names must differ"):
        read_rows(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_rows(tmp_path / "nothing.csv")
