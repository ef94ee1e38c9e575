"""An answer that its reader breaks on costs its own item and no other, and says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import benchmarks
from pipeline.errors import DataError
from pipeline.scorers import harness
from pipeline.types import Benchmark, Completion

ITEMS = [{"id": name, "question": "?", "answer": "!"} for name in "abc"]
TASK = """
task: fragile
custom_dataset: !function utils.dataset
output_type: generate_until
test_split: test
doc_to_text: question
doc_to_target: answer
process_results: !function utils.judge
filter_list:
  - {name: run, filter: [{function: custom, filter_fn: !function utils.run_all}]}
generation_kwargs: {until: []}
metric_list:
  - {metric: strict, aggregation: mean, higher_is_better: true}
  - {metric: lenient, aggregation: mean, higher_is_better: true}
"""
UTILS = """
from pipeline.errors import DataError
from pipeline.task_items import splits


def dataset(**given): return splits("fragile", **given)


def run_all(responses, docs): return [[FILTERS(each) for each in answers] for answers in responses]


def judge(doc, results): return dict.fromkeys(("strict", "lenient"), float(READS(results[0][0]) == "!"))


def deep(text):
    return deep(text) if text == "?" else text


def fail(text):
    if text == "?": raise ERROR
    return text
"""


class Scripted:
    """Gives each item its own answers."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = answers

    def generate(self, requests: list) -> list[list[Completion]]:
        return [[Completion(text=text, stopped=True, tokens=1) for text in texts] for texts in self.answers]


def fragile(folder: Path, **names: str) -> Benchmark:
    code = UTILS
    for name, said in ({"FILTERS": "str", "READS": "str", "ERROR": "ValueError"} | names).items():
        code = code.replace(name, said)
    (folder / "fragile.yaml").write_text(TASK)
    (folder / "utils.py").write_text(code)
    return benchmarks.load_benchmark("tiny_gsm8k").model_copy(update={"task": "fragile", "folder": str(folder)})


@pytest.mark.parametrize("part", ["READS", "FILTERS"])
@pytest.mark.parametrize("error", ["TypeError('no')", "ValueError('no')", "MemoryError('no')", "KeyError('no')"])
def test_an_answer_that_its_reader_raises_on_is_worth_0_and_says_why(tmp_path, capsys, part, error):
    benchmark = fragile(tmp_path, **{part: "fail", "ERROR": error})
    found = harness.score(Scripted(["!"], ["?"], ["!"]), benchmark, ITEMS)
    assert [row["strict"] for row in found] == [row["lenient"] for row in found] == [1.0, 0.0, 1.0]
    assert [row.get("unread", "").partition(":")[0] for row in found] == ["", error.partition("(")[0], ""]
    assert found[1]["response"] == "?" and "1 answers could not be read and count as 0: b (" in capsys.readouterr().err


def test_a_reader_that_goes_too_deep_ends_nothing(tmp_path):
    found = harness.score(Scripted(["!"], ["?"], ["!"]), fragile(tmp_path, READS="deep"), ITEMS)
    assert [row["strict"] for row in found] == [1.0, 0.0, 1.0] and found[1]["unread"].startswith("RecursionError")


def test_of_several_answers_to_an_item_only_those_that_cannot_be_read_count_as_0(tmp_path):
    found = harness.score(Scripted(["?", "!"], ["!", "?"], ["!"]), fragile(tmp_path, READS="fail"), ITEMS)
    assert [row["strict"] for row in found] == [0.5, 0.5, 1.0]
    assert [["unread" in answer for answer in row["responses"]] for row in found[:2]] == [[True, False], [False, True]]


@pytest.mark.parametrize(("error", "kind"), [("NameError('no')", NameError), ("DataError('no')", DataError)])
def test_a_broken_task_is_no_answer_s_fault_and_still_ends_it(tmp_path, error, kind):
    with pytest.raises(kind):
        harness.score(Scripted(["?"], ["!"], ["!"]), fragile(tmp_path, READS="fail", ERROR=error), ITEMS)
