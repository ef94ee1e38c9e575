"""lm-eval asks, our engine answers, and every item's result comes back."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import pytest

from pipeline import benchmarks, worlds
from pipeline.errors import DataError, InputError
from pipeline.scorers import harness
from pipeline.types import GREEDY, Benchmark, Completion, Decoding, ItemsKey, Request

KEY = ItemsKey(lab_seed=3)
TASKS = ["tiny_aime", "tiny_bfcl", "tiny_gpqa", "tiny_gsm8k", "tiny_health"]


class Scripted:
    """An engine that gives known answers and remembers what it was asked."""

    def __init__(self, answers: Sequence[str], stopped: bool = True) -> None:
        self.answers, self.stopped = answers, stopped
        self.asked: list[Request] = []

    def generate(self, requests: Sequence[Request]) -> list[list[Completion]]:
        self.asked = list(requests)
        return [[Completion(text=text, stopped=self.stopped, tokens=len(text))] for text in self.answers]

    def loglikelihood(self, pairs: Sequence[tuple[Request, str]]) -> list[tuple[float, bool]]:
        return [(-1.0, True) for _ in pairs]


def right_answers(benchmark: str, items: list[dict]) -> list[str]:
    return [worlds.get(benchmarks.load_benchmark(benchmark).items["world"]).respond(item, "worked") for item in items]


@pytest.mark.parametrize("name", TASKS)
def test_each_item_is_asked_as_one_chat_turn_and_gets_its_own_result(name):
    benchmark = benchmarks.load_benchmark(name).model_copy(update={"decoding": GREEDY})  # tiny_aime's is sampled
    items = benchmarks.items(benchmark, "search", KEY, 20)
    answers = right_answers(name, items)
    answers[3] = "AB"[items[3]["answer"] == "A"] if name == "tiny_gpqa" else "no idea"  # without a letter: a guess
    engine = Scripted(answers)
    results = harness.score(engine, benchmark, items)
    assert [request.messages for request in engine.asked] == [
        ({"role": "user", "content": item["question"]},) for item in items
    ]
    assert {(request.max_tokens, request.temperature, request.until) for request in engine.asked} == {
        (benchmark.max_tokens, 0.0, ())
    }
    assert [result["id"] for result in results] == [item["id"] for item in items]
    assert [result["strict"] for result in results] == [float(number != 3) for number in range(20)]
    assert results[3] == {
        "id": items[3]["id"], "strict": 0.0, "lenient": 0.0, "response": answers[3], "stopped": True,
        "tokens": len(answers[3]),
        "ending": None,
    }  # fmt: skip


@pytest.mark.parametrize("name", TASKS)
def test_few_shot_is_raw_text_with_the_same_worked_examples_before_every_question(name):
    benchmark = benchmarks.load_benchmark(name)
    items, shots = benchmarks.items(benchmark, "search", KEY, 6), benchmarks.items(benchmark, "fewshot", KEY)
    engine = Scripted([" " + answer for answer in right_answers(name, items)], stopped=False)
    results = harness.score(engine, benchmark, items, few_shot=4, shots=shots)
    assert [result["strict"] for result in results] == [1.0] * 6
    examples = "".join(
        f"Question: {shot['question']}\nAnswer: {answer}\n\n"
        for shot, answer in zip(shots[:4], right_answers(name, shots[:4]), strict=True)
    )
    assert [request.text for request in engine.asked] == [
        f"{examples}Question: {item['question']}\nAnswer:" for item in items
    ]
    assert engine.asked[0].until == ("\n\n", "Question:")


class Ordered:
    """Answers the letter of the option that is asked for among those that it is shown."""

    def __init__(self, wanted: str) -> None:
        self.wanted, self.asked = wanted, []

    def generate(self, requests: Sequence[Request]) -> list[list[Completion]]:
        self.asked.append(list(requests))
        return [[Completion(text=f"ANSWER: {self.letter(each)}", stopped=True, tokens=4)] for each in requests]

    def letter(self, request: Request) -> str:
        shown = request.messages[-1]["content"] if request.messages else request.text.rpartition("Question: ")[2]
        return next(line[0] for line in shown.splitlines() if line.endswith(f") {self.wanted}"))


OPTIONS = ["one", "two", "three", "four"]
CHOICES = [{"id": f"g{i}", "question": f"Q{i}?", "options": OPTIONS, "answer": "B"} for i in range(8)]


def gpqa(**changes) -> Benchmark:
    drawn = {"decoding": Decoding(temperature=0.6, repeats=3), "reshuffled": True}
    return benchmarks.load_benchmark("gpqamain").model_copy(update=drawn | changes)


def test_each_answer_to_a_reshuffled_item_is_to_another_order_of_its_options():
    engine = Ordered("two")
    results = harness.score(engine, gpqa(), CHOICES)
    assert [result["strict"] for result in results] == [1.0] * 8  # the letter that is right moves with its option
    assert [[answer["shuffle"] for answer in result["responses"]] for result in results] == [[0, 1, 2]] * 8
    assert [[request.copy_number for request in asked] for asked in engine.asked] == [[0] * 8, [1] * 8, [2] * 8]
    letters = [{answer["response"] for answer in result["responses"]} for result in results]
    assert max(map(len, letters)) > 1 and {request.n for asked in engine.asked for request in asked} == {1}
    assert [result["strict"] for result in harness.score(Ordered("one"), gpqa(), CHOICES)] == [0.0] * 8
    again = harness.score(Ordered("two"), gpqa(), CHOICES)
    assert again == results


def test_worked_examples_are_reshuffled_with_their_items_and_no_item_is_its_own_example():
    engine = Ordered("two")
    results = harness.score(engine, gpqa(), CHOICES, few_shot=2, shots=CHOICES[:3])
    assert [result["strict"] for result in results] == [1.0] * 8
    for asked in engine.asked:
        pairs = zip(asked, CHOICES, strict=True)
        assert [request.text.count(f"Question: {item['question']}") for request, item in pairs] == [1] * 8


def test_greedily_and_elsewhere_the_order_stays():
    engine = Ordered("two")
    assert "responses" not in harness.score(engine, gpqa(decoding=GREEDY), CHOICES)[0]
    assert engine.asked[0][0].copy_number is None and engine.asked[0][0].n == 1
    engine = Ordered("two")
    harness.score(engine, gpqa(reshuffled=False), CHOICES)
    assert len(engine.asked) == 1 and engine.asked[0][0].n == 3


def test_recorded_answers_to_reshuffled_items_are_taken_in_their_order(tmp_path):
    from pipeline.engines import recorded
    from pipeline.set_items import utils

    changed = utils(gpqa().folder).reshuffled
    rows = [{"id": item["id"], "response": f"ANSWER: {changed(item, number)['answer']}"}
            for number in range(3) for item in CHOICES][:-1]  # fmt: skip
    path = tmp_path / "answers.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    results = harness.score(recorded.open_engine("label", str(path), all_samples=True), gpqa(), CHOICES)
    assert [result["strict"] for result in results] == [1.0] * 8
    assert [len(result["responses"]) for result in results] == [3] * 7 + [2]
    with pytest.raises(DataError, match="1 of 8 items have fewer than 3 answers: g7"):
        harness.score(recorded.open_engine("label", str(path)), gpqa(), CHOICES)


def test_a_task_that_cannot_be_reshuffled_says_so():
    benchmark = benchmarks.load_benchmark("gsm8k").model_copy(
        update={"decoding": Decoding(temperature=0.6, repeats=2), "reshuffled": True}
    )
    with pytest.raises(InputError, match=r"gsm8k.utils.py: has no reshuffled\(item, number\)"):
        harness.score(Scripted(["7"]), benchmark, [{"id": "a", "question": "?", "answer": "7", "solution": ""}])


def test_what_cannot_be_scored_says_why(tmp_path):
    benchmark = benchmarks.load_benchmark("tiny_gsm8k")
    items = benchmarks.items(benchmark, "search", KEY, 2)
    with pytest.raises(InputError, match="no items to score"):
        harness.score(Scripted([]), benchmark, [])
    with pytest.raises(InputError, match="4 examples are asked for, 1 there"):
        harness.score(Scripted(["", ""]), benchmark, items, few_shot=4, shots=items[:1])
    with pytest.raises(InputError, match=r"tiny_gsm8k.yaml is missing: add the lm-eval task tiny_gsm8k there"):
        harness.score(Scripted(["", ""]), benchmark.model_copy(update={"folder": str(tmp_path)}), items)


def test_a_task_without_strict_and_lenient_is_refused(tmp_path):
    (tmp_path / "other.yaml").write_text(
        "task: other\ncustom_dataset: !function utils.dataset\noutput_type: generate_until\ntest_split: test\n"
        "doc_to_text: question\ndoc_to_target: answer\nprocess_results: !function utils.judge\n"
        "generation_kwargs: {until: []}\nmetric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]\n"
    )
    (tmp_path / "utils.py").write_text(
        "from pipeline.task_items import splits\n"
        "def dataset(**given): return splits('other', **given)\n"
        "def judge(doc, results): return {'acc': 1.0}\n"
    )
    benchmark = benchmarks.load_benchmark("tiny_gsm8k").model_copy(update={"task": "other", "folder": str(tmp_path)})
    with pytest.raises(InputError, match="must return `strict` and `lenient`"):
        harness.score(Scripted(["x"]), benchmark, [{"id": "a", "question": "?", "answer": "!"}])


def test_lm_eval_itself_costs_little():
    benchmark = benchmarks.load_benchmark("tiny_bfcl")
    items = benchmarks.items(benchmark, "search", KEY)
    engine = Scripted(right_answers("tiny_bfcl", items))
    seconds = []
    for _ in range(3):
        begun = time.process_time()
        harness.score(engine, benchmark, items)
        seconds.append(time.process_time() - begun)
    assert min(seconds) < 0.5


def test_the_task_runs_without_this_project_too_on_search_items_of_its_own():
    from lm_eval.tasks import TaskManager

    benchmark = benchmarks.load_benchmark("tiny_gpqa")
    manager = TaskManager(include_defaults=False)
    task = manager.load([f"{benchmark.folder}/tiny_gpqa_few_shot.yaml"])["tasks"]["tiny_gpqa_few_shot"]
    assert list(task.eval_docs) == benchmarks.items(benchmark, "search", ItemsKey())
    assert task.config.num_fewshot == benchmark.few_shot


def test_likelihoods_are_passed_through():
    from lm_eval.api.instance import Instance

    adapter = harness.EngineLM(Scripted([]), benchmarks.load_benchmark("tiny_gsm8k"), [])
    request = Instance("loglikelihood", doc={}, arguments=("2 + 2 =", " 4"), idx=0)
    assert adapter.loglikelihood([request]) == [(-1.0, True)]
    with pytest.raises(NotImplementedError):
        adapter.loglikelihood_rolling([request])


# ---------------------------------------------------------------- several answers per item


class Sampled(Scripted):
    """Gives each item its own list of answers, and counts how often it is asked."""

    def __init__(self, answers: Sequence[Sequence[str]]) -> None:
        super().__init__([])
        self.lists, self.calls = answers, 0

    def generate(self, requests: Sequence[Request]) -> list[list[Completion]]:
        self.asked, self.calls = list(requests), self.calls + 1
        return [[Completion(text=text, stopped=text != "?", tokens=1) for text in texts] for texts in self.lists]


SAMPLES = Decoding(temperature=0.6, top_p=0.95, top_k=20, repeats=3)


@pytest.mark.parametrize("few_shot", [0, 2])
def test_every_answer_to_an_item_is_scored_and_the_item_has_their_mean(few_shot):
    benchmark = benchmarks.load_benchmark("tiny_gsm8k").model_copy(update={"decoding": SAMPLES})
    items, shots = benchmarks.items(benchmark, "search", KEY, 3), benchmarks.items(benchmark, "fewshot", KEY)
    one, two, three = right_answers("tiny_gsm8k", items)
    engine = Sampled([[one, "?", one], ["?", "?", two], [three] * 3])
    results = harness.score(engine, benchmark, items, few_shot, shots)
    assert engine.calls == 1
    assert {(r.n, r.temperature, r.top_p, r.top_k) for r in engine.asked} == {(3, 0.6, 0.95, 20)}
    assert [result["id"] for result in results] == [item["id"] for item in items]
    assert [result["strict"] for result in results] == pytest.approx([2 / 3, 1 / 3, 1])
    assert [[a["strict"] for a in result["responses"]] for result in results] == [[1, 0, 1], [0, 0, 1], [1, 1, 1]]
    assert [a["response"] for a in results[0]["responses"]] == [one, "?", one]
    assert [a["stopped"] for a in results[1]["responses"]] == [False, False, True]


def test_items_may_have_unlike_numbers_of_answers_as_recorded_ones_do():
    benchmark = benchmarks.load_benchmark("tiny_gsm8k")
    items = benchmarks.items(benchmark, "search", KEY, 2)
    one, two = right_answers("tiny_gsm8k", items)
    results = harness.score(Sampled([[one, "?"], [two]]), benchmark, items)
    assert [result["strict"] for result in results] == [0.5, 1.0] and results[1]["response"] == two
    assert len(results[0]["responses"]) == 2 and "responses" not in results[1]


def test_an_item_is_no_example_for_itself():
    benchmark = benchmarks.load_benchmark("tiny_gsm8k")
    shots = benchmarks.items(benchmark, "fewshot", KEY)
    items = [shots[1], *benchmarks.items(benchmark, "search", KEY, 1)]
    engine = Scripted(["", ""])
    harness.score(engine, benchmark, items, few_shot=2, shots=shots)
    shown = [[shot["id"] for shot in shots if f"Question: {shot['question']}\nAnswer: " in str(request.text)]
             for request in engine.asked]  # fmt: skip
    assert shown == [[shots[0]["id"], shots[2]["id"]], [shots[0]["id"], shots[1]["id"]]]
