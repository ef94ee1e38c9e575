"""An agent against control arms: ordinary runs on the same seeds and final items, resumable; the lift is the report."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pipeline import comparison, report
from pipeline.asking import Asked
from pipeline.comparison import Comparison
from pipeline.errors import InputError
from pipeline.fakes import fake_model
from pipeline.ledger import Ledger
from pipeline.types import Budget
from tests.variants import few

FAKE: dict[str, Any] = {"executor": "tests.instant", "budget": Budget(seconds=60.0, trials=2)}
ANCHORS = {"base", "base_few_shot", "instruct"}


def nobody(name: str) -> Any:
    return lambda news: None


def resolve(name: str, lab_seed: int) -> Path:
    return Path(name)


@pytest.fixture
def asked(tmp_path, monkeypatch) -> Asked:
    """A base and its instruct sibling that only pretend, as do the trials."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    for name, score in (("base", 0.05), ("instruct", 0.9)):
        fake_model(tmp_path / name, score)
        (tmp_path / name / "config.json").write_text('{"architectures": ["Qwen3ForCausalLM"]}')
    return Asked(
        model=str(tmp_path / "base"),
        instruct=str(tmp_path / "instruct"),
        benchmark="tiny_gsm8k",
        agent="random",
        **FAKE,
    )


def kept(folder: Path) -> dict[str, set[str]]:
    """Which anchors a run did not measure itself, by split."""
    notes = [event for event in Ledger(folder / "ledger.jsonl").events() if event.get("note") == "anchors_kept"]
    return {note["role"]: set(note["measured_at"]) for note in notes}


def test_arms_are_ordinary_runs_by_seed_that_share_final_items_and_anchors(asked, tmp_path):
    told: list[str] = []
    out, compared = tmp_path / "out", Comparison(asked=asked, controls=("plain",), seeds=(4, 5))
    found = comparison.run(compared, out, lambda name: told.append(name) or nobody(name), resolve)
    assert [name.split(" ", 1)[1] for name in told] == [
        "random seed 4", "plain seed 4", "random seed 5", "plain seed 5",
    ]  # fmt: skip
    runs = [out / "arms" / name for name in ("random-4", "plain-4", "random-5", "plain-5")]
    assert {(run / "sealed" / "salt").read_text() for run in runs} == {(out / "sealed" / "salt").read_text()}
    assert kept(runs[0]) == {} and all(kept(run) == {"search": ANCHORS, "final": ANCHORS} for run in runs[1:])
    assert all(oct(path.stat().st_mode)[-3:] == "600" for path in (out / "sealed" / "anchors").glob("*-final-*.jsonl"))
    documents = [report.build_report(run) for run in runs]
    bases = {json.dumps(each["scores"]["base"]) for each in documents}
    assert len(bases) == 1 and all(each["fraction"] for each in documents)

    (control,) = found["controls"]
    fractions = [each["fraction"]["value"] for each in documents]
    lifts = (fractions[0] - fractions[1], fractions[2] - fractions[3])
    mean = sum(lifts) / 2
    assert control["agent"] == "plain" and control["pairs"] == 2
    assert control["lift"]["value"] == pytest.approx(mean)
    low, high = control["lift"]["low"], control["lift"]["high"]
    if lifts[0] == pytest.approx(lifts[1]):  # a salt drawn anew may let a few final items come out alike
        assert low is None and high is None and "all seeds differ by the same" in control["why"]
    else:
        assert low < mean < high and control["why"] is None
    assert json.loads((out / "report.json").read_text()) == json.loads(json.dumps(report.document(out)))

    (beside,) = json.loads((runs[0] / "report.json").read_text())["controls"]
    assert beside["agent"] == "plain" and beside["difference"] == pytest.approx(fractions[0] - fractions[1])
    assert report.build_report(runs[1])["controls"] == []


def test_the_final_model_is_that_of_the_seed_whose_choice_had_the_best_search_score(asked, tmp_path):
    found = comparison.run(Comparison(asked=asked, seeds=(0, 1, 2)), tmp_path / "out", nobody, resolve)
    scores = {}
    for seed in range(3):
        folder = tmp_path / "out" / "arms" / f"random-{seed}"
        best = report.build_report(folder)["best_trial"]
        trials = {trial.id: trial.score.value for trial in Ledger(folder / "ledger.jsonl").history() if trial.score}
        scores[seed] = trials[best or "base"]
    best_seed = max(scores, key=scores.__getitem__)
    assert found["final_model"]["seed"] == best_seed and found["controls"] == []
    model = tmp_path / "out" / "final_model"
    assert model.resolve() == (tmp_path / "out" / "arms" / f"random-{best_seed}" / "final_model").resolve()
    assert (model / "README.md").is_file() and not os.path.isabs(os.readlink(model))


def test_one_seed_gives_a_difference_and_says_why_it_has_no_interval(asked, tmp_path):
    out = tmp_path / "out"
    found = comparison.run(Comparison(asked=asked, controls=("plain",), seeds=(0,)), out, nobody, resolve)
    (control,) = found["controls"]
    assert isinstance(control["lift"]["value"], float) and control["lift"]["low"] is control["lift"]["high"] is None
    assert "--seeds" in control["why"] and "--seeds" in report.to_text(out)


class Stop(Exception):
    """What a user's Ctrl-C stands for here: the session is closed, the run remains."""


@pytest.mark.parametrize("what", few(["finished", "anchor", "started", "ended"], 2))
def test_an_interrupted_comparison_goes_on_where_an_arm_stopped(asked, tmp_path, what):
    out, compared = tmp_path / "out", Comparison(asked=asked, controls=("plain",), seeds=(0,))

    def stop(news: Any) -> None:
        if news.what == what:
            raise Stop

    with pytest.raises(Stop):
        comparison.run(compared, out, lambda name: stop if "plain" in name else nobody(name), resolve)
    first = (out / "arms" / "random-0" / "ledger.jsonl").read_bytes()
    begun = (out / "arms" / "plain-0" / "ledger.jsonl").read_bytes()
    told = report.document(out)
    assert [each["folder"] for each in told["missing"]] == ["arms/plain-0"] and "Incomplete" in report.to_text(out)
    names: list[str] = []
    found = comparison.resume(out, lambda name: names.append(name) or nobody(name), resolve)
    assert len(names) == 1 and "plain seed 0" in names[0]
    assert found["missing"] == [] and found["controls"][0]["pairs"] == 1
    assert (out / "arms" / "random-0" / "ledger.jsonl").read_bytes() == first
    assert (out / "arms" / "plain-0" / "ledger.jsonl").read_bytes().startswith(begun)


def test_an_arm_that_died_before_its_run_was_described_is_begun_again(asked, tmp_path):
    out, compared = tmp_path / "out", Comparison(asked=asked, seeds=(0,))

    def refuse(name: str) -> Any:
        raise Stop

    with pytest.raises(Stop):
        comparison.run(compared, out, refuse, resolve)
    (out / "arms" / "random-0" / "sealed").mkdir(parents=True)
    assert comparison.resume(out, nobody, resolve)["missing"] == []


def test_a_finished_comparison_is_only_read(asked, tmp_path):
    out = tmp_path / "out"
    first = comparison.run(Comparison(asked=asked, seeds=(0,)), out, nobody, resolve)
    assert comparison.resume(out, lambda name: pytest.fail(f"{name} was run again"), resolve) == first


@pytest.mark.parametrize(
    ("controls", "words"),
    [
        (("random",), "is the agent itself"),
        (("plain", "plain"), "once"),
        (("plain", "rnadom"), "did you mean random"),
        (("no.such.module",), "no module"),
    ],
)
def test_wrong_controls_are_told_before_anything_is_made(asked, tmp_path, controls, words):
    with pytest.raises(InputError, match=words):
        comparison.run(Comparison(asked=asked, controls=controls, seeds=(0,)), tmp_path / "out", nobody, resolve)
    assert not (tmp_path / "out").exists()


def test_a_damaged_comparison_is_told(tmp_path):
    (tmp_path / "comparison.json").write_text('{"asked": 3, "seeds": [0]}')
    with pytest.raises(InputError, match="not readable"):
        comparison.resume(tmp_path, nobody, resolve)
    with pytest.raises(InputError, match="'runs' must be"):
        report.document(tmp_path)
