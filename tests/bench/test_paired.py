"""Paired measurements: fresh processes in turns, ratios within rounds; ours against the libraries' own."""

from __future__ import annotations

import pytest

from pipeline import benchmarks
from pipeline.bench import eval as evaluation
from pipeline.bench import fresh, train
from pipeline.errors import PosttrainError
from pipeline.reporting.plain import to_text
from tests import tiny_models

BENCHMARK = benchmarks.load_benchmark("tiny_gsm8k")


def nobody(*_):
    return None


def test_sides_take_turns_each_in_a_process_and_folder_of_its_own(tmp_path):
    told = []
    sides = {"a": "tests.bench.jobs.quick", "b": "tests.bench.jobs.slow"}
    rounds = fresh.interleaved(sides, {"value": 3}, tmp_path, 2, 1, lambda what, share: told.append((what, share)))
    assert [what for what, _ in told] == ["round 1 of 2: a", "round 1 of 2: b", "round 2 of 2: a", "round 2 of 2: b"]
    assert [share for _, share in told] == [0, 0.25, 0.5, 0.75]
    assert [[each[side]["value"] for side in sides] for each in rounds] == [[3, 6], [3, 6]]
    assert all(side["process_seconds"] > 0 for each in rounds for side in each.values())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-1", "a-2", "b-1", "b-2"]


def test_a_side_that_fails_is_an_error_with_its_reason(tmp_path):
    with pytest.raises(PosttrainError, match="b-1 cannot be measured: ValueError: no luck"):
        sides = {"a": "tests.bench.jobs.quick", "b": "tests.bench.jobs.broken"}
        fresh.interleaved(sides, {"value": 1}, tmp_path, 2, 1, nobody)


def test_ratios_are_taken_within_rounds():
    rounds = [{"a": {"x": a}, "b": {"x": b}} for a, b in ((2.0, 1.0), (9.0, 3.0), (8.0, 2.0))]
    found = fresh.compared(rounds, lambda side: side["x"], "a", "b")
    assert (found["a"], found["b"]) == (8.0, 2.0)
    assert found["ratio"] == {"median": 3.0, "lowest": 2.0, "highest": 4.0, "each": [2.0, 3.0, 4.0]}
    assert fresh.ratio_text(found["ratio"]) == "3.00 (2.00 to 4.00)"


def test_both_trainers_see_the_same_rows_of_the_benchmarks_recipe():
    rows = train.rows_of(BENCHMARK, 0, 20)
    assert len(rows) == 20 and rows == train.rows_of(BENCHMARK, 0, 30)[:20]
    told = train._as_trl(rows[0], {"enable_thinking": False})
    assert told["prompt"] + told["completion"] == rows[0]["messages"]
    assert told["completion"][0]["role"] == "assistant" and "chat_template_kwargs" not in train._as_trl(rows[0], {})


@pytest.mark.slow
def test_our_trainer_and_trls_learn_the_same(tmp_path):
    path = tiny_models.untrained("qwen3")
    document = train.run("tiny", path, BENCHMARK, 0, 10, 4, 3e-3, 1, 1, tmp_path, nobody)
    [found] = document["rounds"]
    assert found["trl"]["loss"] == pytest.approx(found["posttrain"]["loss"], rel=0.1)
    # a line break after each row, and one more where this small tokenizer joins the two that end the prompt
    assert 0 <= document["tokens"]["trl"] - document["tokens"]["posttrain"] <= 80
    assert "trl.SFTTrainer" in to_text(train.page(document))


def test_our_evaluation_and_lm_evals_give_the_same_answers(tmp_path):
    path = tiny_models.taught("qwen3")
    document = evaluation.run("tiny", path, BENCHMARK, 0, 12, 5, 1, 1, tmp_path, nobody)
    assert document["items"] == 12
    assert document["different_scores"] == 0 and document["different_answers"] == 0
    assert document["scores"]["posttrain"] == document["scores"]["lm_eval"]
    assert "0 are scored differently" in to_text(evaluation.page(document))


def test_different_answers_are_counted():
    def side(*told):
        return {"items": [{"id": f"{n}", "strict": strict, "response": text} for n, (strict, text) in enumerate(told)]}

    found = evaluation.agreement(
        {"posttrain": side((1.0, "a"), (0.0, "b"), (0.0, "c")), "lm_eval": side((1.0, "a "), (0.0, "x"), (1.0, "y"))}
    )
    assert found["different_scores"] == 1 and found["different_answers"] == 2
    assert found["scores"] == {"posttrain": pytest.approx(1 / 3), "lm_eval": pytest.approx(2 / 3)}
