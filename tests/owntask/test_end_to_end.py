"""A made task from its file to a searched, exported and re-scored model, on the micro lab; and in plain lm-eval."""

from __future__ import annotations

import json

import pytest

from tests.owntask.conftest import COLOURS


@pytest.mark.lab
@pytest.mark.timeout(900)  # seconds on a quiet machine; the first test of a session builds the lab
def test_a_made_task_is_searched_on_and_plain_lm_eval_scores_the_result_alike(command, place, monkeypatch):
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    monkeypatch.setenv("POSTTRAIN_LAB", "micro")
    recipe = place / "colours" / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("tokens: 200000", "tokens: 40000"))
    arguments = [
        "--model",
        "lab/qwen3-base",
        "--benchmark",
        "./colours",
        "--reference",
        "0.9",
        "--reference-note",
        "made",
    ]
    code, out, err = command(
        "search", *arguments, "--agent", "plain", "--trials", "1", "--budget", "10m", "--off-target", "tiny_bfcl",
        "--out", "run", "--json",
    )  # fmt: skip
    report = json.loads(out)
    assert code == 0 and report["trials"]["scored"] == 1 and report["scores"]["base"]["n"] >= 50, err
    assert report["verdicts"] and all(verdict["ok"] for verdict in report["verdicts"])
    assert report["benchmark"] == "colours" and report["reference"]["value"] == 0.9 and "resolved" in report
    if report["best_trial"]:
        assert report["off_target"][0]["n"] == 100 and report["off_target"][0]["bits_per_byte"]["base"] > 0
    code, out, err = command("evaluate", "run/final_model", "--benchmark", "./colours", "--out", "ours", "--json")
    assert code == 0, err
    ours = [json.loads(line) for line in (place / "ours" / "items.jsonl").read_text().splitlines()]
    found = simple_evaluate(
        model=HFLM(pretrained="run/final_model", dtype="float32", batch_size=16, device="cpu", enable_thinking=False),
        tasks=["colours"],
        task_manager=TaskManager(include_path="colours", include_defaults=False),
        apply_chat_template=True,
        log_samples=True,
        bootstrap_iters=0,
    )
    plain = {each["doc"]["id"]: each for each in found["samples"]["colours"]}
    assert plain.keys() == {item["id"] for item in ours}
    for item in ours:
        assert plain[item["id"]]["resps"][0][0].strip() == item["response"].strip()
        assert (plain[item["id"]]["strict"], plain[item["id"]]["lenient"]) == (item["strict"], item["lenient"])
    assert {item["answer"] for item in (each["doc"] for each in plain.values())} == set(COLOURS)
