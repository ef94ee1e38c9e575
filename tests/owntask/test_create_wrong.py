"""`posttrain task create` on wrong input: one line for whatever is wrong, and nothing half-written."""

from __future__ import annotations

import json

import pytest

from pipeline.errors import DataError
from tests.owntask.files import items, rows, write


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("--input", "txt", "--target", "kind"),
            "rows.csv: --input txt: there is no such column: columns are text, kind, id",
        ),
        (("--input", "text", "--target", "text"), "both are 'text': name two columns"),
        (("--test", "none.csv"), "none.csv: no such file: correct the path"),
        (("--metric", "number"), "rows.csv, row 1: --metric number: the target 'animal' cannot be compared"),
        (("--prompt", "Go!"), "--prompt: it has no {text}: write that where the input belongs"),
        (("--prompt", "{text} {nope}"), "--prompt: there is no column 'nope': columns are text, kind, id"),
        (("--prompt", "{text} {kind}"), "--prompt: it holds {kind}, the target: take it out"),
        (("--out", "elsewhere"), "--out elsewhere: a benchmark's folder has its name: write --out elsewhere/made"),
        (("--out", "a,b/made"), "--out a,b/made: commas separate benchmarks"),
        (("--out", "rows.csv/made"), "rows.csv cannot be written in (Not a directory): name another folder"),
        (("--final-items", "10"), "--final-items 10: at least 50 are needed to tell anything"),
        (("--metric", "rouge"), "--metric"),
    ],
)
def test_what_is_asked_wrongly_is_one_line_and_nothing_is_written(create, tmp_path, change, said):
    code, out, last = create(rows(), *change)
    assert code == 2 and out == "" and said in last
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "rows.csv: the file has no rows: fill it"),
        (b"text,kind\n", "rows.csv: the file has no rows: fill it"),
        (b"text,kind\na,b\nc,d,e\n", "rows.csv, line 3: 3 values for 2 columns"),
        (b'text,kind\na,b\n"c,d\n', "rows.csv, line 3"),
        (
            "text,kind\nä,b\n".encode() + "ü,b\n".encode("latin-1"),
            "rows.csv, line 3: not UTF-8 text (byte 0xfc): save it as UTF-8",
        ),
        ("text,kind\na,b\n".encode("utf-16"), "rows.csv, line 1: not UTF-8 text"),
        (b"text;kind\na;b\n", "it seems to be separated by ';': save it with commas"),
        (b"text\tkind\na\tb\n", "it seems to be separated by tabs: call it .tsv"),
        (b"text,text\na,b\n", "rows.csv, line 1: column names must be given and differ"),
        (b"text,kind\n" + b"a,b\n" * 90, "rows.csv: 0 final items"),
        (b"text,kind\n,\n,\n", "rows.csv: no row has both text and kind: fill them"),
        (b"text,kind\na,\x00\n", "rows.csv, line 2: not UTF-8 text (byte 0x00)"),
        (b"text , kind\na,b\n", "columns are 'text ', ' kind'"),
    ],
)
def test_a_broken_file_is_one_line_and_nothing_is_written(create, tmp_path, data, said):
    (tmp_path / "rows.csv").write_bytes(data)
    code, out, last = create(None)
    assert code == 2 and out == "" and said in last
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv"]


def test_a_broken_line_of_json_lines_is_named(create, tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"text": "a", "kind": "b"}\n{"text": "a", \n')
    code, _, last = create(None, file="rows.jsonl")
    assert code == 2 and "rows.jsonl, line 2: not JSON" in last


def test_too_few_final_items_are_refused_with_their_number(create, tmp_path):
    code, _, last = create(rows(200))
    assert (
        code == 2
        and "final items (a fifth of the rows), at least 50 are needed: give more rows, or a --test file" in last
    )
    write(tmp_path / "test.csv", rows(49, start=1000))
    code, _, last = create(rows(400), "--test", "test.csv")
    assert code == 2 and last.startswith("error: test.csv: 49 final items (rows of the test file)")


def test_too_few_rows_say_what_became_of_the_others(create, tmp_path):
    found = rows(400)
    for row in found:
        row["text"] = found[0]["text"]
        row["kind"] = "animal"
    code, _, last = create(found)
    assert code == 2 and "0 final items" in last and "(left out: 399 repeated)" in last
    write(tmp_path / "same.csv", rows(400))
    code, _, last = create(rows(400), "--test", "same.csv")
    assert code == 2 and "duplicates in train" in last and "0 rows to train on" in last


@pytest.mark.parametrize("target", ['{"f": NaN}', "[" * 150 + "]" * 150], ids=["NaN", "deep"])
def test_a_json_target_that_equals_nothing_is_refused(create, target):
    found = [row | {"kind": json.dumps({"a": row["id"]})} for row in rows()]
    assert create(found, name="fine")[0] == 0
    found[6]["kind"] = target
    code, _, last = create(found, "--metric", "json")
    assert code == 2 and "rows.csv, row 7: --metric json: the target" in last and "cannot be compared" in last


def test_a_label_that_never_occurs_in_training_is_named(create, tmp_path):
    test = rows(60, start=1000)
    test[7]["kind"] = "cloud"
    write(tmp_path / "test.csv", test)
    code, _, last = create(rows(), "--test", "test.csv")
    assert code == 2 and "the target 'cloud' of final row 8 never occurs in the training rows" in last
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("9x", "a letter first"),
        ("a-b", "letters, digits and _"),
        ("../x", "letters"),
        ("gsm8k", "a benchmark that ships"),
        ("maths_1", "a data source that ships"),
        ("benchmark", "another file of the folder"),
        ("recipe_small", "another file of the folder"),
        ("a" * 65, "at most 64 letters"),
    ],
)
def test_a_name_that_cannot_be_taken_is_refused(create, name, said):
    code, _, last = create(rows(), name=name)
    assert code == 2 and said in last


def test_a_folder_that_is_there_is_never_written_over(create, tmp_path):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "mine.txt").write_text("kept")
    code, _, last = create(rows())
    assert code == 2 and "--out made: is there already" in last
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["mine.txt"]


def test_a_crash_while_writing_leaves_nothing(create, tmp_path, monkeypatch):
    from pipeline.owntask import writing

    monkeypatch.setattr(writing.texts, "readme", lambda *_: 1 / 0)
    code, _, last = create(rows())
    assert code == 1 and "ZeroDivisionError" in last
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv"]


def test_edited_files_that_are_no_benchmark_any_more_are_refused_with_their_row(create, tmp_path):
    assert create(rows())[0] == 0
    final, search = (tmp_path / "made" / "data" / f"{split}.jsonl" for split in ("final", "search"))
    lines = final.read_text().splitlines()
    final.write_text("\n".join([*lines, lines[4]]))
    with pytest.raises(DataError, match=rf"final\.jsonl, row {len(lines) + 1}: the same as row 5"):
        items("made", "final")
    final.write_text("\n".join(lines))
    search.write_text("\n".join([lines[0], *search.read_text().splitlines()]))
    with pytest.raises(DataError, match=r"search\.jsonl, row 1: is a final item, too"):
        items("made", "search")
    final.unlink()
    with pytest.raises(DataError, match=r"final\.jsonl: no such file: restore it"):
        items("made", "final")
