"""`posttrain task create`: files of every form in, an ordinary benchmark folder out, one line for whatever is wrong."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os

import pytest

from pipeline import benchmarks, catalogue, sizes
from pipeline.errors import DataError
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


@pytest.fixture
def create(command, tmp_path, monkeypatch):
    """Runs `task create` in an empty folder on rows in a file; gives exit code, stdout and stderr's last line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)

    def call(found, *arguments, name="made", file="rows.csv"):
        if found is not None:
            write(tmp_path / file, found)
        columns = [] if "--input" in arguments else ["--input", "text", "--target", "kind"]
        code, out, err = command("task", "create", name, "--train", file, *columns, *arguments)
        return code, out, err.strip().rpartition("\n")[2]

    return call


def items(folder, split):
    return benchmarks.items(benchmarks.load_benchmark(folder), split, ItemsKey())


@pytest.mark.parametrize("file", ["rows.csv", "rows.csv.gz", "rows.tsv", "rows.jsonl", "rows.json", "rows.parquet"])
def test_every_form_of_file_gives_the_same_task(create, tmp_path, file):
    code, out, _ = create(rows(), "--json", file=file)
    document = json.loads(out)
    assert code == 0 and document["metric"] == "choice" and document["left_out"] == []
    assert sum(document["rows"].values()) == 400 and document["folder"] == "made"
    known = {item["question"]: item["answer"] for split in ("search", "final") for item in items("made", split)}
    for source_row in catalogue.rows("made", ItemsKey(folder=str(tmp_path / "made"))):
        asked, answer = (message["content"] for message in source_row["messages"])
        known[asked.partition("\n\nAnswer with one of: animal, plant, stone.")[0]] = answer
    assert known == {row["text"]: row["kind"] for row in rows()}


def test_the_folder_is_whole_and_loads_as_a_benchmark_with_its_source_and_recipe(create, tmp_path):
    assert create(rows())[0] == 0
    found = benchmarks.load_benchmark("made")
    assert (found.name, found.metric, found.kind) == ("made", "accuracy", "made")
    assert (tmp_path / "made" / "README.md").read_text().startswith("# made")
    assert catalogue.names("made", "made") == ["made"] and "made" not in catalogue.names()
    from pipeline.recipe import load_recipe

    recipe = load_recipe(benchmarks.recipe_address(found))
    small = load_recipe(sizes.recipe_for(benchmarks.recipe_address(found), 135_000_000))
    assert [ref.name for each in (recipe, small) for ref in each.stages[0].data] == ["made", "made"]
    assert (recipe.stages[0].params["layers"], small.stages[0].params["layers"]) == ("all", "upper_half")
    shots = items("made", "fewshot")
    assert len(shots) == 4 and {shot["answer"] for shot in shots} == set(KINDS)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_what_is_printed_is_what_a_colleague_would_look_at(create):
    found = rows()
    found[20] = {**found[20], "text": found[10]["text"].upper() + "!"}  # the same question with another label
    found[30]["text"] = ""
    code, out, _ = create(found)
    text = " ".join(out.split())
    assert code == 0 and "metric choice (3 labels in 399 rows)" in text
    told_of = (
        "search", "final", "70% train, 10% search, 20% final", "1 empty (first: row 31)",
        "2 conflicting (first: row 11; row 21)", "3 labels, training rows of each", "scores 3", "tokens (estimated",
        "95% interval of a score is at most +-", "example 3", "| Answer with one of: animal, plant, stone.",
        "posttrain search --model MODEL --benchmark ./made",
    )  # fmt: skip
    for told in told_of:
        assert told in text, told


def test_rows_that_are_added_later_stay_where_the_others_were(create):
    assert create(rows(400))[0] == 0
    assert create(rows(500), "--out", "later/made")[0] == 0
    for split in ("search", "final"):
        before, after = ({item["id"] for item in items(folder, split)} for folder in ("made", "later/made"))
        assert before < after


def test_a_test_file_is_the_final_split_and_what_repeats_it_is_not_trained_on(create, tmp_path):
    test = rows(60, start=1000)
    train = rows(400) + [{**test[3], "text": test[3]["text"] + "?"}, {**test[4], "text": "Tell me: " + test[4]["text"]}]
    write(tmp_path / "test.jsonl", test)
    code, out, _ = create(train, "--test", "test.jsonl", "--json")
    document = json.loads(out)
    assert code == 0 and document["rows"]["final"] == 60 and "final" not in document["shares"]
    assert sum(each["rows"] for each in document["left_out"]) == 2
    assert [item["question"] for item in items("made", "final")] != [row["text"] for row in test]  # in order of hashes
    assert {item["question"] for item in items("made", "final")} == {row["text"] for row in test}


@pytest.mark.parametrize(
    ("targets", "metric"),
    [
        (["red", "blue"], "choice"),
        ([1, 2, 3, 4, 5], "choice"),
        ([True, False], "choice"),
        ([float(n) for n in range(400)], "number"),
        ([f"${n},000.50" for n in range(400)], "number"),
        ([{"a": n, "b": [None]} for n in range(400)], "json"),
        (['{"b": 1}', '{"a": 2}'], "json"),
        ([f"answer {n}" for n in range(400)], "exact"),
        (["x" * 100, "y" * 100], "exact"),
    ],
)
def test_the_metric_is_guessed_from_the_targets_and_said(create, targets, metric):
    found = [{**row, "kind": targets[number % len(targets)]} for number, row in enumerate(rows())]
    code, out, _ = create(found, "--json", file="rows.jsonl")
    document = json.loads(out)
    assert code == 0 and document["metric"] == metric and document["metric_why"]
    scored = items("made", "final")
    from pipeline.set_items import utils

    task = utils("made")
    for item in scored:
        assert task.process_results(item, [task.reply(item)]) == {"strict": 1.0, "lenient": 1.0}
        assert task.process_results(item, ["none of it"])["strict"] == 0.0


def test_a_metric_that_is_asked_for_is_taken(create):
    for number, metric in enumerate(("exact", "contains")):
        code, out, _ = create(rows(), "--metric", metric, "--json", "--out", f"m{number}/made")
        assert code == 0 and json.loads(out)["metric"] == metric and json.loads(out)["metric_why"] == "as asked for"


def test_a_prompt_may_name_several_columns_and_questions_differ_by_all_of_them(create):
    found = [{"text": "What is it?", "about": row["text"], "kind": row["kind"]} for row in rows()]
    prompt = 'About "{about}": {input}\\nAs {{json}} or {"a": 1}?'
    code, out, _ = create(found, "--prompt", prompt, "--json")
    document = json.loads(out)
    assert code == 0 and sum(document["rows"].values()) == 400 and document["left_out"] == []
    shown = document["examples"][0]["prompt"]
    assert shown.endswith('": What is it?\nAs {json} or {"a": 1}?') and shown.startswith('About "')
    item = items("made", "final")[0]
    assert item["question"] == f"{item['row']['about']}\nWhat is it?"


def test_training_rows_are_asked_as_items_are_whatever_the_user_edits(create, tmp_path):
    assert create(rows())[0] == 0
    utils = tmp_path / "made" / "utils.py"
    utils.write_text(utils.read_text().replace("{text}", "Attention: {text}"))
    from pipeline.set_items import utils as load

    item = items("made", "search")[0]
    assert load("made").question(item).startswith("Attention: ")
    first = catalogue.rows("made", ItemsKey(folder="made"))[0]["messages"][0]["content"]
    assert first.startswith("Attention: ")


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
        (("--out", "rows.csv/made"), "--out rows.csv/made: cannot be written ("),
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


def test_values_of_columns_that_nothing_uses_may_be_anything(create, tmp_path):
    found = [row | {"blob": b"\xff\xfe"} for row in rows()]
    assert create(found, file="rows.parquet")[0] == 0
    code, _, last = create(found, "--prompt", "{text} {blob}", name="other", file="rows.parquet")
    assert code == 2 and "row 1, column blob: bytes that are no UTF-8 text" in last


def test_a_colleague_would_remark_on_labels_alike_long_rows_and_quotes_that_close_too_late(create):
    found = rows()
    for row in found[::7]:
        row["kind"] = row["kind"].upper()
    for number in range(60, 90):
        found[number]["text"] = " ".join(f"word{number}x{each}" for each in range(3000))
    found[30]["text"] = "\n".join(f"{number},thing,stone" for number in range(12))
    code, out, _ = create(found, "--json")
    remarks = " | ".join(json.loads(out)["remarks"])
    assert code == 0
    assert "differ in case or marks alone and are two labels" in remarks
    assert "row 31 has more than 5 lines where most have one (1 such rows)" in remarks
    assert "rows of more than 2,048 are left out of training" in remarks


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
