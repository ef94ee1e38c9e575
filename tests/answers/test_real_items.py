"""Real benchmark items, where they lie beside the project: gold answers count, in every style."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from pathlib import Path

import pytest

from pipeline import benchmarks
from pipeline.answers.call_match import fault
from pipeline.answers.calls import lenient_calls, strict_calls
from pipeline.answers.numbers import lenient_number, number_scores, same_number, strict_number
from pipeline.engines import recorded
from pipeline.sandbox import Check, Limits, check_all
from pipeline.set_items import utils
from pipeline.types import ItemsKey, Request

DATA = Path(__file__).parents[3] / "shared" / "data"
TASK = utils(benchmarks.load_benchmark("humaneval").folder)
RETURN = re.compile(r"\breturn ([^\n]+)$", re.MULTILINE)
PARTS = ("simple_python", "multiple", "parallel", "parallel_multiple")


def rows(name: str) -> list[dict]:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def test_gold_solutions_of_gsm8k_have_the_gold_number():
    found = rows("gsm8k/test.jsonl")
    assert len(found) == 1319
    for row in found:
        gold = row["answer"].rpartition("####")[2].strip()
        assert same_number(strict_number(row["answer"]), gold) and same_number(lenient_number(row["answer"]), gold)
        wrong = row["answer"].replace(f"#### {gold}", f"#### {gold}1")
        assert not same_number(strict_number(wrong), gold)
        beside = f"{row['answer'].rpartition('####')[0]}#### {float(gold.replace(',', '')) + 1}"
        assert not same_number(strict_number(beside), gold) and not same_number(lenient_number(beside), gold)


def plain(value):
    """One of the accepted values of a parameter, and so on inside it."""
    if isinstance(value, dict):
        return {key: plain(first(options)) for key, options in value.items() if options != [""]}
    return [plain(each) for each in value] if isinstance(value, list) else value


def first(options):
    return next(option for option in options if option != "")


@pytest.mark.parametrize("part", PARTS)
def test_accepted_calls_of_bfcl_count_in_every_style(part):
    asked, answers = rows(f"bfcl/BFCL_v4_{part}.jsonl"), rows(f"bfcl/BFCL_v4_{part}_answers.jsonl")
    for item, key in zip(asked, answers, strict=True):
        accepted = key["ground_truth"]
        calls = [
            {
                "name": name,
                "arguments": {each: plain(first(v)) for each, v in wanted.items() if set(map(str, v)) != {""}},
            }
            for call in accepted
            for name, wanted in call.items()
        ]
        python = [f"{c['name']}({', '.join(f'{k}={v!r}' for k, v in c['arguments'].items())})" for c in calls]
        hermes = "".join(f"<tool_call>\n{json.dumps(call)}\n</tool_call>\n" for call in calls)
        for text in (json.dumps(calls), hermes, f"[{', '.join(reversed(python))}]"):
            assert fault(strict_calls(text), accepted, item["function"]) is None, (item["id"], text)
        assert fault(lenient_calls(f"Of course:\n{json.dumps(calls)}\n"), accepted, item["function"]) is None
        assert fault(strict_calls(json.dumps([*calls, calls[0]])), accepted, item["function"]) is not None


def humaneval() -> list[dict]:
    path = DATA / "humaneval" / "HumanEval.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    with gzip.open(path, "rt") as lines:
        return [TASK.item(json.loads(line), number, 0) for number, line in enumerate(lines)]


def passed(answers: list[tuple[dict, str]]) -> int:
    checks = [
        Check(program=TASK.program(doc, answer, True), tests=doc["tests"], entry=doc["entry"],
              prompt=f"{doc['question']}    pass\n")
        for doc, answer in answers
    ]  # fmt: skip
    return sum(verdict.passed for verdict in check_all(checks, Limits(seconds=30.0)))


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_canonical_solutions_of_humaneval_pass_in_prose_and_fences_and_each_broken_one_fails():
    items = humaneval()
    chats = [f"Sure.\n\n```python\n{doc['question']}{doc['answer']}\n```\nIt runs." for doc in items]
    assert passed(list(zip(items, chats, strict=True))) == len(items) == 164
    broken = [RETURN.sub("return [\\1]", doc["answer"]) for doc in items]
    wrapped = [(doc, doc["question"] + body) for doc, body in zip(items, broken, strict=True) if body != doc["answer"]]
    emptied = [
        (doc, f"{doc['question']}    return None\n{doc['answer']}")
        for doc, body in zip(items, broken, strict=True)
        if body == doc["answer"]
    ]
    assert len(wrapped) > 100 and len(wrapped) + len(emptied) == 164 and passed(wrapped + emptied) == 0


@pytest.mark.parametrize(("name", "n"), [("aime25", 30), ("aime24", 30)])
def test_answers_of_aime_count_as_people_write_them(name, n):
    found = rows(f"{name}/test.jsonl")
    assert len(found) == n
    for row in found:
        gold = str(row["answer"])
        for text in (f"So.\nANSWER: {gold}", f"ANSWER: $\\boxed{{{gold}}}$.", f"ANSWER: {int(gold):03d}\n\\]"):
            assert number_scores(text, gold) == {"strict": 1.0, "lenient": 1.0}, text
        assert number_scores(f"Therefore $m + n = \\boxed{{{gold}}}$, as 7 divides it.", gold)["lenient"] == 1.0
        for wrong in (int(gold) + 1, -int(gold) - 1, f"{gold}.5", f"{gold}/7", f"0.{gold}1"):
            assert number_scores(f"ANSWER: {wrong}", gold) == {"strict": 0.0, "lenient": 0.0}, wrong


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_bfcl_takes_recorded_answers_by_id_and_by_the_whole_s_index(part, monkeypatch, tmp_path):
    rows(f"bfcl/BFCL_v4_{part}.jsonl")
    monkeypatch.setenv("POSTTRAIN_DATA_ROOT", str(DATA))
    whole, own = (benchmarks.load_benchmark(name) for name in ("bfcl_ast", f"bfcl_ast:{part}"))
    items = benchmarks.items(whole, "search", ItemsKey())
    path = tmp_path / "answers.jsonl"
    told = [{"index": at, "benchmark": "bfcl_ast", "response": item["id"]} for at, item in enumerate(items)]
    path.write_text("\n".join(map(json.dumps, told)))
    places = benchmarks.places_in_whole(own, "search", ItemsKey())
    engine = recorded.open_engine("label", str(path), places=places)
    asked = [
        Request(benchmark=own.name, item=item["id"], index=at)
        for at, item in enumerate(benchmarks.items(own, "search", ItemsKey()))
    ]
    assert [answers[0].text for answers in engine.generate(asked)] == [request.item for request in asked]
    assert len(engine.unused) == len(items) - len(asked) > 0
