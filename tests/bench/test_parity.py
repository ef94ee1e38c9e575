"""Our evaluation against plain `lm_eval run`: the same items, answers and scores; what lies there is not done again."""

from __future__ import annotations

import json
import subprocess

import pytest

from pipeline import benchmarks
from pipeline.bench import parity
from pipeline.errors import InputError, PosttrainError
from pipeline.reporting.plain import to_markdown
from tests import tiny_models


def nobody(*_):
    return None


def run(tmp_path, family="qwen3", names=("tiny_gsm8k",), **changes):
    given = {"lab_seed": 0, "limit": 8, "max_tokens": 24, "batch": 8, "threads": 1, "told": nobody} | changes
    return parity.run("tiny", tiny_models.taught(family), names, out=tmp_path / "out", **given)


@pytest.mark.slow
@pytest.mark.timeout(1200)  # lm_eval reads 14,000 task files each time
@pytest.mark.parametrize("family", tiny_models.FAMILIES)
def test_plain_lm_eval_gives_the_same_answers_and_scores(tmp_path, family):
    document = run(tmp_path, family)
    [row] = document["benchmarks"]
    assert row["items"] == 8 and row["differing"] == []
    for key in ("strict", "lenient", "stops"):
        assert len({side[key] for side in row["sides"].values()}) == 1, key
    assert "1 of 1" in to_markdown(parity.page(document))


def item(number, **changes):
    return {"id": f"i{number}", "strict": 0.0, "lenient": 1.0, "response": "a", "tokens": 1} | changes


def test_items_that_differ_in_answer_or_score_are_counted_and_named():
    ours = [item(0), item(1), item(2), item(3)]
    plain = [item(0), item(1, response="b"), item(2, strict=1.0), item(3, lenient=0.0, response="c")]
    found = parity.agreement(ours, plain)
    assert found == {
        "items": 4,
        "same": {"strict": 3, "lenient": 3, "response": 2},
        "differing": ["i1", "i2", "i3"],
    }
    with pytest.raises(PosttrainError, match="different items"):
        parity.agreement(ours, plain[::-1])


def test_lm_eval_is_told_what_the_task_does_not_say(tmp_path):
    job = {"model_path": str(tiny_models.taught("qwen3")), "lab_seed": 3, "limit": 5, "max_tokens": 9, "batch": 2}
    told = parity.command(job, benchmarks.load_benchmark("bfcl_ast:parallel"), tmp_path)
    assert told[told.index("--model_args") + 1] == f"pretrained={job['model_path']},dtype=float32,enable_thinking=False"
    assert json.loads(told[told.index("--metadata") + 1]) == {"lab_seed": 3, "part": "parallel"}
    assert told[told.index("--tasks") + 1] == "bfcl_ast" and told[told.index("--gen_kwargs") + 1] == "max_gen_toks=9"


@pytest.fixture
def sides(monkeypatch):
    """Both sides answer at once; what was measured is listed."""
    done = []

    def measured(executor, folder, call, work, threads):
        done.append((folder.parent.name, folder.name))
        parity.write_json(folder / parity.JOB, work)
        if len(done) == 2:
            monkeypatch.setattr(parity, "measured", again)
            raise KeyboardInterrupt
        return {"items": [item(0), item(1, tokens=99)], "process_seconds": 1.0, "cpu_seconds": 1.0}

    def again(executor, folder, call, work, threads):
        done.append((folder.parent.name, folder.name))
        parity.write_json(folder / parity.JOB, work)
        return {"items": [item(0), item(1, tokens=99)], "process_seconds": 2.0, "cpu_seconds": 1.0}

    monkeypatch.setattr(parity, "measured", measured)
    return done


def test_an_interrupted_comparison_goes_on_where_it_was(tmp_path, sides):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    [row] = run(tmp_path)["benchmarks"]
    assert sides == [("tiny_gsm8k", "posttrain"), ("tiny_gsm8k", "lm_eval"), ("tiny_gsm8k", "lm_eval")]
    assert [row["sides"][side]["process_seconds"] for side in parity.SIDES] == [1.0, 2.0]
    assert row["sides"]["lm_eval"]["stops"] == 0.5
    with pytest.raises(InputError, match="holds other work: name a new folder"):
        run(tmp_path, limit=9)


def test_the_plain_side_reads_what_lm_eval_left(tmp_path, monkeypatch):
    sample = {"strict": 1.0, "lenient": 1.0, "resps": [["so"]]}

    def write(arguments, check):
        out = tmp_path / "lm_eval" / "some_model"
        out.mkdir(parents=True)
        lines = [json.dumps({**sample, "doc_id": number, "doc": {"id": f"i{number}"}}) for number in (1, 0)]
        (out / "samples_tiny_gsm8k_2026.jsonl").write_text("\n".join(lines))

    monkeypatch.setattr(subprocess, "run", write)
    work = {"model_path": str(tiny_models.taught("qwen3")), "benchmark": "tiny_gsm8k", "lab_seed": 0, "limit": 2,
            "max_tokens": 9, "batch": 2}  # fmt: skip
    parity.write_json(tmp_path / parity.JOB, work)
    parity.plain(tmp_path)
    found = parity.read_json(tmp_path / parity.OUTCOME)["items"]
    assert [each["id"] for each in found] == ["i0", "i1"] and found[0]["tokens"] > 0
