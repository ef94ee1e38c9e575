"""`posttrain task create`: files of every form in, an ordinary benchmark folder out."""

from __future__ import annotations

import json

import pytest

from pipeline import benchmarks, catalogue, sizes
from pipeline.types import ItemsKey
from tests.owntask.files import KINDS, items, rows, write


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
