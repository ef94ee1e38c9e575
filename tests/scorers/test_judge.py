"""Judged benchmarks from answer to score: made-up items of the data sets' form, recorded answers, a scripted judge."""

from __future__ import annotations

import json
import shutil

import pytest

from pipeline import benchmarks, evaluate, totals
from pipeline.cli import main
from pipeline.errors import DataError, InputError, JudgeError
from pipeline.jobs import ITEMS, JOB, OUTCOME
from pipeline.paths import read_json, read_jsonl, share, write_json
from pipeline.scorers import judge as scorer
from pipeline.types import Completion, ItemsKey, Judge
from tests import tiny_models
from tests.scripted_judge import longer_wins, scripted, section, word_meets

KEY = ItemsKey()
ARENA, HEALTH = "arenahardwriting", "healthbench"
CATEGORIES = ("creative_writing", "hard_prompt")
USER, ASSISTANT = "user", "assistant"


def health_row(number, turns=5, negative=1, axis="completeness"):
    talk = [{"role": (USER, ASSISTANT)[turn % 2], "content": f"turn {turn} of {number}"} for turn in range(turns)]
    good = {"criterion": f"Says w{number}.", "points": 8, "tags": [f"axis:{axis}", "level:example"]}
    bad = {"criterion": "Says nonsense.", "points": -4, "tags": ["axis:accuracy"]}
    other = {"criterion": "Says please.", "points": 2, "tags": ["axis:accuracy"]}
    return {"prompt_id": f"p{number}", "prompt": talk, "rubrics": [good, other, *[bad] * negative],
            "ideal_completions_data": {"ideal_completion": f"w{number} please"} if number % 2 else None}  # fmt: skip


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    """Local copies with rows that belong to the benchmarks and rows that do not; an empty cache of replies."""
    monkeypatch.setenv("POSTTRAIN_DATA_ROOT", str(tmp_path / "data"))
    monkeypatch.setenv("POSTTRAIN_HOME", str(tmp_path / "home"))

    def put(name, rows):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(json.dumps(row) for row in rows))

    asked = [{"uid": f"u{i}", "category": CATEGORIES[i % 4 == 3], "prompt": f"Write verse {i}."} for i in range(80)]
    put("arena_hard/question.jsonl", asked)
    told = [{"uid": row["uid"], "model": "small", "messages": [{"role": ASSISTANT, "content": {"answer": "x" * 20}}]}
            for row in asked if row["category"] == CATEGORIES[0]]  # fmt: skip
    put("arena_hard/answers_Qwen3-1.7B.jsonl", told)
    hard = [health_row(100, turns=3), health_row(101, negative=3), health_row(102, axis="accuracy")]
    put("healthbench/healthbench.jsonl", [*map(health_row, range(90)), *hard])
    return put


def items_of(name, n=None, split="search"):
    return benchmarks.items(benchmarks.load_benchmark(name), split, KEY, n)


@pytest.fixture
def recorded(tmp_path):
    def write(items, answer):
        path = tmp_path / "answers.jsonl"
        path.write_text("\n".join(json.dumps({"id": item["id"], "response": answer(item)}) for item in items))
        return path

    return write


def score(name, judge, path, n, **more):
    benchmark = benchmarks.load_benchmark(name)
    judge = judge if isinstance(judge, Judge) else Judge(name=judge.name)
    items = benchmarks.items(benchmark, "search", KEY, n)
    return evaluate.evaluate("label", benchmark, items, "search", engine="recorded", file=path, judge=judge, **more)


# ---------------------------------------------------------------- items


@pytest.mark.parametrize(("name", "n"), [(ARENA, 60), (HEALTH, 90)])
def test_only_rows_of_the_benchmark_are_items_and_the_splits_are_disjoint(name, n):
    ids = {split: {item["id"] for item in items_of(name, split=split)} for split in ("search", "final")}
    assert not ids["search"] & ids["final"]
    assert 0.2 * n < len(ids["search"]) < 0.5 * n and 0.4 * n < len(ids["final"]) < 0.8 * n
    assert not ids["final"] & {"p100", "p101", "p102", "u3"} and not ids["search"] & {"p100", "p101", "p102", "u3"}


def test_a_missing_baseline_says_where_it_is_to_be_had(tmp_path):
    (tmp_path / "data" / "arena_hard" / "answers_Qwen3-1.7B.jsonl").unlink()
    with pytest.raises(DataError, match=r"answers_Qwen3-1\.7B\.jsonl is missing.*PostTrainBench's repository"):
        items_of(ARENA)


def test_a_request_without_the_baseline_s_answer_is_named(root):
    root("arena_hard/answers_Qwen3-1.7B.jsonl", [{"uid": "u0", "model": "m", "messages": []}])
    with pytest.raises(DataError, match="no answers to u1, u2, u4"):
        items_of(ARENA)


# ---------------------------------------------------------------- scores


def test_an_answer_is_compared_with_the_baseline_s_in_both_orders(recorded):
    items = items_of(ARENA, 4)
    answers = ["y" * 25, "wxyz " * 8, "<think>z</think>abc", "x" * 20]
    texts = dict(zip((item["id"] for item in items), answers, strict=True))
    with scripted(longer_wins) as judge:
        found = score(ARENA, judge, recorded(items, lambda item: texts[item["id"]]), 4)
        shown = {section(prompt, f"answer_{side}") for prompt in judge.asked for side in "AB"}
    assert [item["verdicts"] for item in found.items] == [
        ["A>>B", "B>>A"], ["B>A", "A>B"], ["A>>B", "B>>A"], ["A=B", "A=B"],
    ]  # fmt: skip
    assert shown == {"x" * 20, "yyyyy", ("wxyz " * 5).strip(), "abc"}  # thoughts are hidden, repetitions cut
    assert found.score.value == pytest.approx((0 + 2 * 1 + 0 + 2 * 0.5) / (6 + 2 + 6 + 2))
    assert found.score.metric == "win share" and found.items[0]["judge"] == judge.name


def test_the_baseline_scores_a_half_without_a_request(recorded):
    items = items_of(ARENA, 5)
    with scripted(longer_wins) as judge:
        found = score(ARENA, judge, recorded(items, lambda item: item["answer"] + "\n"), 5)
        assert found.score.value == 0.5 and found.score.stderr == 0.0 and not judge.asked


def test_a_baseline_that_repeats_itself_is_itself_even_so(recorded, root):
    told = [{"uid": f"u{i}", "model": "m", "messages": [{"content": {"answer": "la " * 40}}]} for i in range(80)]
    root("arena_hard/answers_Qwen3-1.7B.jsonl", told)
    items = items_of(ARENA, 2)
    with scripted(longer_wins) as judge:
        found = score(ARENA, judge, recorded(items, lambda item: "la " * 40), 2)
        assert found.score.value == 0.5 and not judge.asked


def test_criteria_met_add_their_points_and_bad_ones_subtract(recorded):
    items = items_of(HEALTH, 3)
    texts = dict(zip((item["id"] for item in items), ["w{} please", "w{} nonsense", "nonsense"], strict=True))
    with scripted(word_meets) as judge:
        answers = recorded(items, lambda item: texts[item["id"]].format(item["id"][1:]))
        found = score(HEALTH, judge, answers, 3)
    assert [item["strict"] for item in found.items] == pytest.approx([1.0, 0.4, -0.4])
    assert [item["verdicts"] for item in found.items] == [
        [True, True, False],
        [True, False, True],
        [False, False, True],
    ]
    assert found.score.value == pytest.approx(1.0 / 3) and found.score.stderr > 0


def test_a_benchmark_below_zero_scores_zero(recorded):
    items = items_of(HEALTH, 3)
    with scripted(word_meets) as judge:
        found = score(HEALTH, judge, recorded(items, lambda item: "nonsense"), 3)
    assert found.score.value == found.score.lenient == 0.0 and found.items[0]["strict"] == pytest.approx(-0.4)
    assert sum(totals.shares(found.items)) == pytest.approx(0.0)


def test_the_same_answers_again_cost_nothing(recorded):
    items = items_of(HEALTH, 4)
    path = recorded(items, lambda item: "please")
    with scripted(word_meets) as judge:
        first, again = (score(HEALTH, judge, path, 4) for _ in range(2))
        assert len(judge.asked) == 12
    assert first.score == again.score
    assert [(item["asked"], item["kept"]) for item in (first.items[0], again.items[0])] == [(3, 0), (0, 3)]


def test_a_judge_whose_replies_hold_no_verdict_at_all_gives_no_score(recorded):
    items = items_of(HEALTH, 4)
    with scripted(lambda prompt: "I like it.") as judge:
        with pytest.raises(JudgeError, match="not one of 12 replies holds a verdict"):
            score(HEALTH, judge, recorded(items, lambda item: "please"), 4)
        few = score(HEALTH, judge, recorded(items_of(HEALTH, 1), lambda item: "please"), 1)
    assert few.items[0]["verdicts"] == [None] * 3 and few.score.value == 0.0


class Engine:
    """Remembers what it was asked; with `fatal` it must not be."""

    def __init__(self, fatal=False):
        self.asked, self.fatal = [], fatal

    def generate(self, requests):
        assert not self.fatal, "generated before the judge was looked at"
        self.asked += requests
        return [[Completion(text="please", stopped=True, tokens=1)] for _ in requests]


def test_a_conversation_reaches_the_engine_turn_by_turn():
    benchmark, items, engine = benchmarks.load_benchmark(HEALTH), items_of(HEALTH, 3), Engine()
    with scripted(word_meets) as judge:
        scorer.score(engine, benchmark, items, judge=Judge(name=judge.name))
    assert [list(request.messages) for request in engine.asked] == [item["messages"] for item in items]
    assert [message["role"] for message in engine.asked[0].messages] == [USER, ASSISTANT] * 2 + [USER]


@pytest.mark.parametrize("name", [ARENA, HEALTH])
def test_the_raw_form_shows_worked_examples(name):
    benchmark, items, engine = benchmarks.load_benchmark(name), items_of(name, 2), Engine()
    shots = benchmarks.items(benchmark, "fewshot", KEY)
    with scripted(longer_wins if name == ARENA else word_meets) as judge:
        scorer.score(engine, benchmark, items, 1, shots, judge=Judge(name=judge.name))
    text, until = engine.asked[0].text, engine.asked[0].until
    shown = shots[0]["answer"] or shots[0]["messages"][1]["content"]
    assert f"\n{shown}\n\n" in text and text.endswith(("Answer:", "assistant:"))
    assert not any(stop in shown for stop in until) and any(stop in text for stop in until)


def test_without_a_judge_nothing_is_generated(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    benchmark, items = benchmarks.load_benchmark(ARENA), items_of(ARENA, 1)
    for judge, said in ((None, "name one with --judge"), (Judge(name="openai"), "OPENAI_API_KEY")):
        with pytest.raises(InputError, match=said):
            scorer.score(Engine(fatal=True), benchmark, items, judge=judge)
        with pytest.raises(InputError, match=said):
            evaluate.evaluate("/no/model", benchmark, items, "search", judge=judge)


def test_a_judged_benchmark_of_one_s_own_needs_its_questions(tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(share("evals") / HEALTH, folder)
    path = folder / "benchmark.yaml"
    path.write_text(path.read_text().replace("name: healthbench", "name: mine"))
    utils = folder / "utils.py"
    utils.write_text(utils.read_text().replace("def questions(", "def queries("))
    with pytest.raises(InputError, match=r"mine/utils\.py: has no questions: a benchmark whose scorer is `judge`"):
        scorer.score(Engine(fatal=True), benchmarks.load_benchmark(folder), [{}], judge=Judge(name="http://h/v1#m"))


# ---------------------------------------------------------------- jobs and commands


@pytest.fixture
def short(tmp_path):
    """HealthBench with answers of a few tokens, for a real tiny model."""
    folder = tmp_path / "short"
    shutil.copytree(share("evals") / HEALTH, folder)
    path = folder / "benchmark.yaml"
    text = path.read_text().replace("name: healthbench", "name: short\ntask: healthbench")
    path.write_text(text.replace("max_tokens: 16384", "max_tokens: 8"))
    return folder


def test_a_job_in_a_process_of_its_own_gets_its_judge_by_name(short, tmp_path, monkeypatch):
    monkeypatch.setenv("POSTTRAIN_JUDGE_KEY", "very-secret")
    folder = tmp_path / "job"
    with scripted(word_meets) as judge:
        wanted = {"model_path": str(tiny_models.taught("qwen3")), "benchmark": str(short), "limit": 2}
        write_json(folder / JOB, wanted | {"judge": {"name": judge.name, "purse": str(tmp_path / "purse.json")}})
        evaluate.main(folder)
        assert len(judge.asked) == 6 and set(judge.keys) == {"Bearer very-secret"}
    outcome, items = read_json(folder / OUTCOME), read_jsonl(folder / ITEMS)
    assert outcome["score"]["benchmark"] == "short" and outcome["cost"]["dollars"] == 0.0
    assert all(item["judge"] == judge.name and item["dollars"] is None for item in items)
    written = [path.read_text() for path in (tmp_path / "home").rglob("*.json")]
    assert not [text for text in [*written, *(path.read_text() for path in folder.iterdir())] if "very-secret" in text]


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def test_evaluate_shows_the_interval_the_judge_and_its_bias(recorded, capsys, tmp_path):
    items = items_of(ARENA, 6)
    path = recorded(items, lambda item: "y " * (8 + int(item["id"][1:]) % 5))
    with scripted(lambda prompt: "[[A>B]]") as judge:
        command = ["evaluate", "label", "--benchmark", ARENA, "--engine", f"recorded:{path}", "--limit", 6]
        code, out, err = run(capsys, *command, "--judge", judge.name, "--out", tmp_path / "one", "--json")
        [facts] = json.loads(out)["judging"]
        assert code == 0 and "12 verdicts on arenahardwriting, price unknown" in err
        assert (
            facts["position_bias"] == facts["first_wins"] == 1.0 and facts["asked"] == 12 and facts["dollars"] is None
        )
        assert facts["interval"]["value"] == 0.5 and facts["judge"] == judge.name
        code, out, err = run(capsys, *command, "--judge", judge.name, "--out", tmp_path / "two")
    assert code == 0 and "0 verdicts asked for, 12 from the cache, 0 unreadable, price unknown" in out
    assert (
        "100% of pairs flip with the order of the answers" in out and "0 verdicts to ask for, 12 from the cache" in err
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "benchmark 'arenahardwriting' is scored by a judge and none is given: name one with --judge"),
        (["--judge", "gpt-5-mini"], "not a judge; write openai:MODEL"),
        (["--judge", "openai"], "set OPENAI_API_KEY"),
        (["--judge-budget", "5usd"], "there is no judge to pay"),
        (["--judge", "http://127.0.0.1:1/v1#m", "--judge-budget", "5usd"], "its price is not known"),
        (["--judge", "openai", "--judge-budget", "lots"], "not an amount; write it as 5usd"),
        (["--judge", "openai", "--judge-budget", "0usd"], "not an amount"),
    ],
)
@pytest.mark.parametrize("command", [("evaluate", "lab/qwen3"), ("compare", "lab/qwen3", "lab/qwen3-base"),
    ("search", "--model", "lab/qwen3-base", "--budget", "9s"),
    ("open", "--model", "lab/qwen3-base", "--budget", "9s", "--out", "new")])  # fmt: skip
def test_what_is_wrong_with_a_judge_is_one_line_before_anything_is_built(command, options, said, capsys, monkeypatch):
    for name in ("OPENAI_API_KEY", "POSTTRAIN_JUDGE_KEY"):
        monkeypatch.delenv(name, raising=False)
    code, out, err = run(capsys, *command, "--benchmark", ARENA, *options)
    assert code == 2 and said in err and not out and err.count("\n") == 1


def test_a_judge_that_nothing_needs_is_refused(capsys):
    code, _, err = run(capsys, "evaluate", "lab/qwen3", "--benchmark", "tiny_gsm8k", "--judge", "openai")
    assert code == 2 and "--judge openai: nothing is judged in tiny_gsm8k: omit it" in err


def test_a_price_above_the_budget_is_refused_before_anything_is_generated(capsys, monkeypatch, recorded):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    path = recorded(items_of(ARENA), lambda item: "y")
    command = ["evaluate", "label", "--benchmark", ARENA, "--engine", f"recorded:{path}", "--judge", "openai"]
    code, _, err = run(capsys, *command, "--judge-budget", "0.01usd")
    assert code == 2 and "verdicts on arenahardwriting, about $0." in err
    assert "--judge-budget: judging costs about $0." in err and "more than $0.01" in err
