"""Reports of a matrix and of a comparison, in every format."""

import numpy as np
import pytest

from pipeline import published, report
from pipeline.benchmarks import load_benchmark
from pipeline.errors import InputError
from pipeline.paths import write_json
from pipeline.reporting.plain import WIDTH
from pipeline.types import Verdict
from tests.made_runs import Made, finished


def matrix(folder):
    cells = []
    for model, best in (("lab/qwen3-base", 425), ("lab/gemma3-base", 300)):
        for benchmark in ("gsm8k", "gpqamain"):
            name = f"{model.split('/')[1]}-{benchmark}"
            finished(folder / name, best=best, model=model, benchmark=benchmark)
            cells.append({"family": model, "benchmark": benchmark, "folder": name})
    return cells


def test_a_matrix_has_a_grid_and_the_fraction_of_its_averages(tmp_path):
    write_json(tmp_path / "matrix.json", {"cells": matrix(tmp_path), "weights": {"gsm8k": 1.0, "gpqamain": 3.0}})
    found = report.document(tmp_path)
    assert found["kind"] == "matrix" and len(found["cells"]) == 4 and found["missing"] == []
    assert found["scores"]["best"] == pytest.approx((0.85 + 0.6) / 2)
    assert found["fraction"]["value"] == pytest.approx((0.725 - 0.02) / 0.95)
    assert found["fraction"]["low"] < found["fraction"]["value"] < found["fraction"]["high"]
    text = report.to_text(tmp_path)
    assert "Fraction by model and benchmark" in text and "0.750" in text and "0.742 [" in text
    assert "no missing" not in text and all(len(line) <= WIDTH for line in text.splitlines()[1:])
    assert "<svg" in report.to_html(tmp_path) and "| weight |" in report.to_markdown(tmp_path)
    assert report.write_report(tmp_path) == found


def test_a_matrix_with_a_flagged_and_an_unfinished_cell_says_so(tmp_path):
    cells = matrix(tmp_path)
    finished(tmp_path / "flagged", flagged=True, model="lab/smollm3-base", benchmark="gsm8k")
    Made(tmp_path / "open", model="lab/smollm3-base", benchmark="gpqamain")
    cells += [{"folder": "flagged"}, {"folder": "open"}, {"folder": "never"}]
    write_json(tmp_path / "matrix.json", {"cells": cells, "weights": {"gsm8k": 1.0, "gpqamain": 3.0}})
    found = report.document(tmp_path)
    assert {row["folder"] for row in found["missing"]} == {"open", "never"}
    assert found["raw_fraction"]["value"] > found["fraction"]["value"]
    text = report.to_text(tmp_path)
    assert "Incomplete" in text and "never (not started)" in text and "FLAGGED" in text


def test_an_empty_matrix_is_a_report_and_a_broken_one_an_error(tmp_path):
    write_json(tmp_path / "matrix.json", {"cells": [{"folder": "never"}]})
    assert report.document(tmp_path)["fraction"] is None
    assert "never" in report.to_text(tmp_path)
    write_json(tmp_path / "matrix.json", {"cells": 3})
    with pytest.raises(InputError, match="cells"):
        report.document(tmp_path)


def published_cell(folder, benchmark, flagged=False, **asked):
    """A run told to compare with what is published of Qwen3-1.7B-Base: its best is right on 425 of 500 items."""
    model = "Qwen/Qwen3-1.7B-Base"
    made = Made(folder, model=model, benchmark=benchmark, **{"anchors": "published"} | asked)
    made.choose("t001")
    for role, score in published.scores(load_benchmark(benchmark), model).items():
        made.ledger.append("scored", which=role, score=score)
    made.final("best")
    made.note("verdict", 130, verdict=Verdict(guard="bounds", ok=not flagged))
    return {"folder": folder.name}


def test_a_matrix_told_to_use_published_anchors_is_averaged_by_scores(tmp_path):
    cells = [published_cell(tmp_path / name, name) for name in ("gsm8k", "humaneval")]
    write_json(tmp_path / "matrix.json", {"cells": cells, "weights": {"gsm8k": 1.0, "humaneval": 1.0}})
    found = report.document(tmp_path)
    base, instruct, few = (0.1266 + 0.0793) / 2, (0.8848 + 0.689) / 2, (0.4668 + 0.2524) / 2
    assert found["missing"] == [] and found["anchors"] == "published" and "raw_fraction" not in found
    assert found["scores"] == pytest.approx({"base": base, "base_few_shot": few, "instruct": instruct, "best": 0.85})
    assert found["fraction"]["value"] == pytest.approx((0.85 - base) / (instruct - base))
    assert found["fraction"]["low"] < found["fraction"]["value"] < found["fraction"]["high"]
    assert found["fraction_over_few_shot"]["value"] == pytest.approx((0.85 - few) / (instruct - few))
    text = " ".join(report.to_text(tmp_path).split())
    assert "Base and instruct are published; harnesses differ" in text and "from standard errors" in text


def test_in_such_a_matrix_too_a_flagged_cell_counts_as_its_base_and_an_unfinished_one_is_named(tmp_path):
    cells = [published_cell(tmp_path / "a", "gsm8k"), published_cell(tmp_path / "b", "humaneval", flagged=True)]
    Made(tmp_path / "open", model="Qwen/Qwen3-4B-Base", benchmark="gsm8k", anchors="published")
    write_json(
        tmp_path / "matrix.json", {"cells": [*cells, {"folder": "open"}], "weights": {"gsm8k": 1, "humaneval": 1}}
    )
    found = report.document(tmp_path)
    assert [row["folder"] for row in found["missing"]] == ["open"]
    assert found["scores"]["best"] == pytest.approx((0.85 + 0.0793) / 2)
    assert found["raw_fraction"]["value"] > found["fraction"]["value"]


def test_a_matrix_never_mixes_measured_cells_with_published_ones(tmp_path):
    finished(tmp_path / "measured", model="lab/qwen3-base", benchmark="gsm8k")
    cells = [{"folder": "measured"}, published_cell(tmp_path / "published", "humaneval")]
    write_json(tmp_path / "matrix.json", {"cells": cells})
    found = report.document(tmp_path)
    (row,) = found["missing"]
    assert row["folder"] == "published" and "a published score has none" in row["why"]
    assert found["scores"]["best"] == pytest.approx(0.85) and "anchors" not in found


def test_benchmarks_of_a_protocol_have_its_weights(tmp_path):
    finished(tmp_path / "a", benchmark="gsm8k", protocol="posttrainbench-v1")
    write_json(tmp_path / "matrix.json", {"cells": [{"folder": "a"}]})
    assert report.document(tmp_path)["weights"] == {"gsm8k": pytest.approx(0.0936, abs=1e-4)}


def test_agents_are_compared_by_their_lift_over_the_same_seeds(tmp_path):
    for seed, (ours, theirs) in enumerate([(425, 300), (430, 280), (400, 310)]):
        finished(tmp_path / f"arms/asha-{seed}", best=ours, seed=seed)
        finished(tmp_path / f"arms/random-{seed}", best=theirs, seed=seed, agent="random")
    found = report.document(tmp_path)
    assert found["kind"] == "comparison" and len(found["runs"]) == 6
    lift = next(row for row in found["lifts"] if row["agent"] == "asha")
    differences = np.array([125, 150, 90]) / 475
    reach = 4.3027 * differences.std(ddof=1) / 3**0.5
    assert lift["pairs"] == 3
    assert (lift["value"], lift["low"]) == pytest.approx((differences.mean(), differences.mean() - reach), abs=1e-4)
    text = report.to_text([tmp_path / "arms/asha-0", tmp_path / "arms/random-0"])
    assert "2 runs compared" in text and "Lift" not in text  # one pair shows no spread
    assert "asha over random" in report.to_text(tmp_path)
    assert "asha over random" in report.to_html(tmp_path)


# ---------------------------------------------------------------- control arms


def compared(folder, best, controls=("random",), flagged=(), **asked):
    """A comparison of asha with controls on as many seeds as `best` has lists: items right, the agent's first."""
    agents, runs = ("asha", *controls), []
    for seed, right in enumerate(best):
        for agent, number in zip(agents, right, strict=True):
            place = f"arms/{agent}-{seed}"
            runs.append({"agent": agent, "seed": seed, "folder": place})
            if number is not None:
                finished(folder / place, best=number, seed=seed, agent=agent, flagged=place in flagged, **asked)
                (folder / place / "final_model").mkdir()
    asked = {"model": "lab/qwen3-base", "benchmark": "tiny_gsm8k"}
    told = {"agent": "asha", "controls": controls, "seeds": list(range(len(best))), "runs": runs, "asked": asked}
    write_json(folder / "comparison.json", {"schema": 1, **told})
    return folder


def test_the_headline_is_the_lift_over_the_strongest_control(tmp_path):
    rights = [(425, 300, 400), (430, 280, 390), (400, 310, 405)]
    found = report.document(compared(tmp_path, rights, ("random", "tpe")))
    random, tpe = found["controls"]
    differences = np.array([25, 40, -5])
    reach = 4.3027 * differences.std(ddof=1) / 3**0.5
    assert (tpe["agent"], tpe["pairs"], tpe["why"]) == ("tpe", 3, None)
    assert tpe["lift_points"]["value"] == pytest.approx(differences.mean() / 5)
    assert tpe["lift_points"]["low"] == pytest.approx((differences.mean() - reach) / 5, abs=1e-3)
    assert tpe["lift"]["value"] == pytest.approx(differences.mean() / 475)
    assert random["lift"]["value"] > tpe["lift"]["value"]
    assert found["fraction"]["value"] == pytest.approx((np.mean([425, 430, 400]) - 10) / 475)
    assert found["fraction"]["low"] < found["fraction"]["value"] < found["fraction"]["high"]
    text, page = report.to_text(tmp_path), report.to_html(tmp_path)
    assert "asha over tpe" in text and text.index("Lift over control arms") < text.index("Runs")
    assert "+0.04" in page and "lift over tpe" in page
    assert all(len(line) <= WIDTH for line in text.splitlines())


def test_a_flagged_run_counts_as_its_base_and_its_model_is_not_handed_over(tmp_path):
    rights = [(425, 300), (430, 280)]
    found = report.document(compared(tmp_path, rights, flagged=("arms/asha-1", "arms/random-0")))
    assert found["controls"][0]["lift_points"]["value"] == pytest.approx(((425 - 10) + (10 - 280)) / 2 / 5)
    assert found["flagged"] and found["final_model"]["folder"] == "arms/asha-0/final_model"
    assert "FLAGGED" in report.to_text(tmp_path)


def test_pairs_are_the_seeds_that_both_finished_and_the_rest_is_missing(tmp_path):
    compared(tmp_path, [(425, 300), (430, None), (420, None)])
    Made(tmp_path / "arms" / "random-2", seed=2, agent="random")
    found = report.document(tmp_path)
    assert found["controls"][0]["pairs"] == 1 and found["controls"][0]["lift"]["low"] is None
    assert {(each["folder"], each["why"]) for each in found["missing"]} == {
        ("arms/random-1", "not started"), ("arms/random-2", "not finished"),
    }  # fmt: skip


def test_a_comparison_in_which_nothing_was_run_is_a_report_without_lift(tmp_path):
    found = report.document(compared(tmp_path, [(None, None)]))
    assert found["controls"] == [
        {"agent": "random", "pairs": 0, "lift": None, "lift_points": None, "why": "no seed is finished by both"}
    ]
    assert found["fraction"] is None and "Incomplete" in report.to_text(tmp_path)


def test_without_an_instruct_model_the_lift_is_told_in_points(tmp_path):
    rights = [(425, 300), (430, 280)]
    for name, seed, right in [("asha", 0, 425), ("random", 0, 300), ("asha", 1, 430), ("random", 1, 280)]:
        made = Made(tmp_path / f"arms/{name}-{seed}", agent=name, seed=seed, instruct=None)
        made.choose("t001")
        made.final("base")
        made.final("best", right)
    compared(tmp_path / "plan", [(None, None) for _ in rights])
    (tmp_path / "plan" / "comparison.json").rename(tmp_path / "comparison.json")
    found = report.document(tmp_path)
    (control,) = found["controls"]
    assert control["lift"] is None and control["lift_points"]["value"] == pytest.approx(27.5)
    assert "in points only" in control["why"] and "instruct" in found["fraction_why"]
    assert "+27.5" in report.to_html(tmp_path)
