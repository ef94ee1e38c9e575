"""A model and items in, a score with per-item results out."""

from __future__ import annotations

import math
import shutil
import stat

import pytest

from pipeline import benchmarks, evaluate
from pipeline.jobs import ITEMS, JOB, OUTCOME
from pipeline.paths import read_json, read_jsonl, write_json, write_jsonl
from pipeline.types import GREEDY, Decoding, ItemsKey, Score
from tests import tiny_models

BENCHMARK = benchmarks.load_benchmark("tiny_gsm8k")


def result(strict: float, lenient: float, stopped: bool) -> dict:
    return {"id": "x", "strict": strict, "lenient": lenient, "stopped": stopped}


def test_a_score_is_the_mean_with_its_standard_error():
    results = [result(1, 1, True), result(0, 1, True), result(0, 0, False), result(1, 1, True)]
    score = evaluate.summarise(BENCHMARK, results, "search", few_shot=0)
    assert (score.value, score.n, score.role, score.lenient, score.stops) == (0.5, 4, "search", 0.75, 0.75)
    assert score.stderr == pytest.approx(math.sqrt(0.25 / 3))
    assert (score.benchmark, score.metric) == ("tiny_gsm8k", BENCHMARK.metric)
    assert evaluate.summarise(BENCHMARK, results, "final", few_shot=4).stops is None
    assert evaluate.summarise(BENCHMARK, results[:1], "search", few_shot=0).stderr > 0.2  # one item is no certainty
    unknown = [{**each, "stopped": None} for each in results]
    assert evaluate.summarise(BENCHMARK, unknown, "search", few_shot=0).stops is None


def test_a_score_by_reading_is_strict_and_lenient_or_strict_alone():
    results = [result(1, 1, True), result(0, 1, True), result(0, 0, False), result(0, 1, True)]
    score = evaluate.summarise(BENCHMARK, results, "final", few_shot=0)
    strict, lenient = evaluate.by_reading(evaluate.Evaluation(score, results, 1.0))
    assert (strict.value, strict.stderr, strict.metric) == (0.25, score.stderr, "exact match, strict")
    assert (lenient.value, lenient.stderr, lenient.metric) == (0.75, pytest.approx(0.25), "exact match, lenient")
    assert (strict.n, strict.role) == (lenient.n, lenient.role) == (4, "final")
    alone = evaluate.Evaluation(score.model_copy(update={"lenient": None}), results, 1.0)
    assert [each.metric for each in evaluate.by_reading(alone)] == ["exact match, strict"]


@pytest.mark.parametrize("name", tiny_models.FAMILIES)
def test_a_model_is_scored_in_chat_and_in_raw_form(name):
    items = benchmarks.items(BENCHMARK, "search", ItemsKey(), 12)
    folder = tiny_models.taught(name)
    chat = evaluate.evaluate(folder, BENCHMARK, items, "search", dtype="float32")
    raw = evaluate.evaluate(folder, BENCHMARK, items, "search", few_shot=2, dtype="float32")
    assert chat.score.n == raw.score.n == 12 and chat.seconds > 0
    assert [item["id"] for item in chat.items] == [item["id"] for item in items]
    assert chat.score.stops == sum(item["stopped"] for item in chat.items) / 12
    assert [item["response"] for item in chat.items] != [item["response"] for item in raw.items]
    again = evaluate.evaluate(folder, BENCHMARK, items, "search", dtype="float32", batch_rows=5)
    assert again.items == chat.items


def job(folder, **changes):
    write_json(folder / JOB, {"model_path": str(tiny_models.taught("qwen3")), "benchmark": "tiny_gsm8k"} | changes)
    evaluate.main(folder)
    return read_json(folder / OUTCOME)


def test_a_job_leaves_its_score_and_its_items(tmp_path):
    outcome = job(tmp_path, limit=9, key={"lab_seed": 2})
    items = read_jsonl(tmp_path / ITEMS)
    assert outcome["score"]["n"] == len(items) == 9 and outcome["score"]["role"] == "search"
    assert outcome["cost"]["seconds"] >= outcome["cost"]["eval_seconds"] > 0
    expected = benchmarks.items(BENCHMARK, "search", ItemsKey(lab_seed=2), 9)
    assert [item["id"] for item in items] == [item["id"] for item in expected]


def test_final_results_are_for_their_owner_only_and_the_salt_selects_them(tmp_path):
    ids = []
    for salt in ("a", "b"):
        (tmp_path / salt).mkdir()
        outcome = job(tmp_path / salt, limit=5, role="final", key={"lab_seed": 0, "salt": salt})
        assert outcome["score"]["role"] == "final"
        for name in (ITEMS, OUTCOME):
            assert stat.S_IMODE((tmp_path / salt / name).stat().st_mode) == 0o600
        ids.append([item["id"] for item in read_jsonl(tmp_path / salt / ITEMS)])
    assert ids[0] != ids[1]


# ---------------------------------------------------------------- decoding


def configured(tmp_path, **settings):
    """The taught model with other settings in its generation_config.json."""
    folder = shutil.copytree(tiny_models.taught("qwen3"), tmp_path / "configured")
    config = read_json(folder / "generation_config.json")
    write_json(folder / "generation_config.json", {**config, **settings})
    return folder


def scored(model, items=8, **changes):
    options = {name: changes.pop(name) for name in ("configured_as", "few_shot") if name in changes}
    benchmark = BENCHMARK.model_copy(update=changes)
    wanted = benchmarks.items(BENCHMARK, "search", ItemsKey(), items)
    return evaluate.evaluate(model, benchmark, wanted, "search", dtype="float32", **options)


def answers(evaluation):
    return [[answer["response"] for answer in item.get("responses", [item])] for item in evaluation.items]


SAMPLED = Decoding(temperature=0.9, repeats=3)


def test_samples_are_drawn_as_the_benchmark_says_and_repeat_themselves():
    model = tiny_models.taught("qwen3")
    found, again = scored(model, decoding=SAMPLED), scored(model, decoding=SAMPLED)
    assert answers(found) == answers(again) and found.score == again.score
    assert found.score.decoding == SAMPLED and found.score.repeats == 3 and found.score.n == 8
    assert len({text for texts in answers(found) for text in texts}) > 8
    assert answers(scored(model, 5, decoding=SAMPLED)) == answers(found)[:5]
    assert set(found.score.pass_at_k) == {"1", "2", "3"}


def test_the_few_shot_base_is_decoded_as_all_unless_a_protocol_says_otherwise():
    model = tiny_models.taught("qwen3")
    assert scored(model, 2, decoding=SAMPLED, few_shot=1).score.decoding == SAMPLED
    changed = scored(model, 2, decoding=SAMPLED, few_shot_decoding=Decoding(temperature=0.6), few_shot=1)
    assert changed.score.decoding == Decoding(temperature=0.6)


def test_a_protocol_may_have_each_model_decoded_as_it_says_itself(tmp_path):
    own = Decoding(own="vllm", repeats=2)
    cold = configured(tmp_path, temperature=0.0)
    assert scored(cold, 3, decoding=own).score.decoding == GREEDY
    assert scored(tiny_models.taught("qwen3"), 3, decoding=own).score.decoding == Decoding(temperature=1.0, repeats=2)


def test_the_base_under_another_model_s_settings_is_what_these_alone_bring(tmp_path):
    base = tiny_models.taught("qwen3")
    other = configured(tmp_path, do_sample=True, temperature=0.9, top_k=0)
    assert answers(scored(other)) == answers(scored(base))  # by default a setting brings nothing
    found = scored(base, configured_as=other)
    assert found.score.decoding == Decoding(temperature=0.9)
    assert answers(found) == answers(scored(base, decoding=Decoding(temperature=0.9))) != answers(scored(base))


def test_answers_made_elsewhere_count_however_many_there_are(tmp_path):
    items = benchmarks.items(BENCHMARK, "search", ItemsKey(), 3)
    write_jsonl(tmp_path / "made.jsonl", [
        {"id": item["id"], "response": f"#### {item['answer'] if copy < number else 'none'}"}
        for number, item in enumerate(items) for copy in range(2)
    ])  # fmt: skip
    given = {"engine": "recorded", "file": str(tmp_path / "made.jsonl")}
    every = evaluate.evaluate("a label", BENCHMARK, items, "search", all_samples=True, **given)
    assert [item["strict"] for item in every.items] == [0.0, 0.5, 1.0]
    assert (every.score.value, every.score.repeats, every.score.decoding) == (0.5, 2, None)
    first = evaluate.evaluate("a label", BENCHMARK, items, "search", **given)
    assert [item["strict"] for item in first.items] == [0.0, 1.0, 1.0]
    own = BENCHMARK.model_copy(update={"decoding": Decoding(own="vllm", repeats=2)})  # no folder to read
    assert evaluate.evaluate("a label", own, items, "search", **given).score.value == 0.5


def test_a_job_scores_as_its_protocol_has_it(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        "name: mine\nsummary: A protocol of one's own.\nweights: {tiny_gsm8k: 1}\n"
        "decoding: {tiny_gsm8k: {temperature: 0.9, repeats: 2}}\nfew_shot: {temperature: 0.6}\n"
    )
    for few_shot, temperature in ((0, 0.9), (1, 0.6)):
        score = Score.model_validate(job(tmp_path, protocol=str(mine), limit=3, few_shot=few_shot)["score"])
        assert (score.decoding, score.repeats) == (Decoding(temperature=temperature, repeats=2), 2)
    assert all(len(item["responses"]) == 2 for item in read_jsonl(tmp_path / ITEMS))


def ended(stopped: bool | None, ending: str | None, tokens: int = 3) -> dict:
    return {"stopped": stopped, "ending": ending, "tokens": tokens}


END = "<|im_end|>"


@pytest.mark.parametrize(
    ("results", "told"),
    [
        ([ended(False, None, 8)] * 3, f"of 3 answers 3 ran to max_tokens (8); {END} was never written"),
        (
            [ended(False, "<|endoftext|>", 8), ended(False, None, 8), ended(True, END)],
            f"of 3 answers 1 wrote <|endoftext|> instead of {END} and went on, 1 ran to max_tokens (8)",
        ),
        ([ended(False, None), ended(True, END), ended(None, None)], "of 2 answers 1 went on to a stop text"),
    ],
)
def test_the_reason_for_not_stopping_is_what_the_answers_did(results, told):
    assert evaluate.why_not_stopping(results, 8, END) == told
