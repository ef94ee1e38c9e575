"""`posttrain anchors` and `evaluate --anchors`: what is printed, kept, mixed and refused."""

from __future__ import annotations

import json
import shutil

import pytest

from pipeline import anchors as kept
from pipeline import benchmarks, dressing, evaluate, fakes, machine, models, published
from pipeline.commands import anchored, evaluated
from pipeline.commands import anchors as command
from pipeline.errors import InputError
from pipeline.gain import fraction_of_scores
from pipeline.jobs import ITEMS, OUTCOME
from pipeline.paths import write_json, write_jsonl
from pipeline.types import Cost, Decoding
from tests.test_anchors import HERE

QWEN, SIBLING = "Qwen/Qwen3-1.7B-Base", "Qwen/Qwen3-1.7B"
ROWS = [{"question": f"What is {i} + {i}?", "answer": f"It is {2 * i}.\n#### {2 * i}"} for i in range(60)]


@pytest.fixture
def run(command, tmp_path, monkeypatch):
    """Calls the command in this process, in an empty folder; returns exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POSTTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("POSTTRAIN_DATA_ROOT", str(tmp_path / "data"))
    monkeypatch.setattr(machine, "cached", lambda recheck=False: HERE)
    for split in ("train", "test"):
        path = tmp_path / "data" / "gsm8k" / f"{split}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps({**row, "question": f"{split}: {row['question']}"}) + "\n" for row in ROWS))

    return command


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Fake models in folders, scored instantly; the list of folders that were scored."""
    scored = []

    def score(told, folder):
        scored.append(kept.job_of(folder).model_path.rpartition("/")[2])
        fakes.evaluate(folder)

    monkeypatch.setattr(command, "_score", score)
    monkeypatch.setattr(dressing, "with_family", lambda found, family="auto": dict(found))  # fakes are of none
    for name, value in (("base", 0.1), ("instruct", 0.9)):
        fakes.fake_model(tmp_path / name, value)
        (tmp_path / name / "config.json").write_text("{}")
    return scored


def answered(tmp_path, share, split="test"):
    """Recorded answers to all items, of which that share is right."""
    path = tmp_path / "answers.jsonl"
    right = [number < share * len(ROWS) for number in range(len(ROWS))]
    path.write_text(
        "".join(
            json.dumps({"index": i, "response": f"ANSWER: {2 * i if ok else 999}"}) + "\n" for i, ok in enumerate(right)
        )
    )
    return f"recorded:{path}"


# ---------------------------------------------------------------- posttrain anchors

ANCHORS = ["anchors", "--model", "base", "--instruct", "instruct", "--benchmark", "tiny_gsm8k"]


def test_three_anchors_are_measured_once_and_the_second_call_says_that_they_were(run, fake):
    code, out, _ = run(*ANCHORS)
    assert code == 0 and fake == ["base", "base", "instruct"]
    assert "base on tiny_gsm8k: 200 items of the final split, exact match" in out
    assert "base, few-shot" in out and "3 measured now" in out
    code, out, _ = run(*ANCHORS)
    assert code == 0 and len(fake) == 3
    assert "none measured now, 3 kept since 20" in out and "--again measures anew" in out
    assert run(*ANCHORS, "--again")[0] == 0 and len(fake) == 6


def test_json_has_what_was_measured_what_was_published_and_their_difference(run, fake, monkeypatch, tmp_path):
    folders = {QWEN: tmp_path / "base", SIBLING: tmp_path / "instruct"}
    monkeypatch.setattr(models, "resolve", lambda name, *_: folders[name])
    code, out, _ = run("anchors", "--model", QWEN, "--benchmark", "gsm8k", "--json")
    found = json.loads(out)
    assert (code, found["model"], found["instruct"], found["split"]) == (0, QWEN, SIBLING, "final")
    base, few_shot, instruct = found["anchors"]
    assert [row["anchor"] for row in found["anchors"]] == ["base", "base_few_shot", "instruct"]
    assert [row["model"] for row in found["anchors"]] == [QWEN, QWEN, SIBLING] and few_shot["few_shot"] == 10
    assert (base["measured"]["source"], base["published"]["source"]) == ("measured", "published")
    assert base["published"]["value"] == 0.1266 and instruct["published"]["value"] == 0.8848
    assert base["difference"] == pytest.approx(base["measured"]["value"] - 0.1266)
    assert base["difference_stderr"] > base["measured"]["stderr"] and not base["kept"]
    assert "2603.08640" in base["published_source"]
    _, out, _ = run("anchors", "--model", QWEN, "--benchmark", "gsm8k")
    assert "0.127" in out and "harnesses differ" in out and "PostTrainBench v1" in out
    assert "published over 1319 items of the whole test set, measured over 200 of the final split" in out


def test_splits_and_limits_are_anchors_of_their_own(run, fake):
    for options in (["--split", "search"], ["--limit", "7"], ["--limit", "7", "--split", "search"]):
        assert run(*ANCHORS, *options)[0] == 0
    assert len(fake) == 3 * 3
    assert {each.score.n for each in kept.listing()} == {7, 200}


def test_without_an_instruct_model_the_others_are_measured_and_that_is_said(run, fake):
    code, out, _ = run("anchors", "--model", "base", "--benchmark", "tiny_gsm8k")
    assert code == 0 and fake == ["base", "base"] and "name it with --instruct" in out
    assert json.loads(run("anchors", "--model", "base", "--benchmark", "tiny_gsm8k", "--json")[1])["instruct"] is None


def test_an_interruption_loses_only_the_anchor_in_progress(run, fake, monkeypatch):
    inner = command._score

    def interrupted(told, folder):
        if kept.job_of(folder).model_path.endswith("instruct"):
            raise KeyboardInterrupt
        inner(told, folder)

    monkeypatch.setattr(command, "_score", interrupted)
    code, out, err = run(*ANCHORS)
    assert (code, out) == (130, "") and "what was measured is kept" in err
    monkeypatch.setattr(command, "_score", inner)
    assert run(*ANCHORS)[0] == 0 and fake == ["base", "base", "instruct"]


def test_what_cannot_be_had_is_one_line_before_anything_is_scored(run, fake, tmp_path):
    (tmp_path / "data" / "gsm8k" / "test.jsonl").unlink()
    cases = {
        "put a copy of openai/gsm8k there": [*ANCHORS[:-1], "tiny_gsm8k,gsm8k"],
        "gpqa_main.csv is missing: put a copy of Idavidrein/gpqa there": [*ANCHORS[:-1], "gpqamain"],
        "the Hub cannot be reached": ["anchors", "--model", QWEN, "--benchmark", "tiny_gsm8k"],
        "lab/gemma3-base": ["anchors", "--model", "nonsense", "--benchmark", "tiny_gsm8k"],
        "the folder holds neither": [*ANCHORS, "--instruct", "data"],
        "did you mean tiny_gsm8k": [*ANCHORS[:-1], "tiny_gsm"],
        "--limit": [*ANCHORS, "--limit", "0"],
    }
    for said, arguments in cases.items():
        code, out, err = run(*arguments)
        errors = [line for line in err.splitlines() if not line.startswith("tiny_gsm8k")]
        assert (code, out, len(errors)) == (2, "", 1), said
        assert said in err
    assert fake == []


# ---------------------------------------------------------------- evaluate beside kept anchors

BESIDE = ["--benchmark", "gsm8k", "--split", "final", "--base", "base", "--instruct", "instruct"]


@pytest.fixture
def beside(fake, monkeypatch, tmp_path):
    """As `fake`; `evaluate` measures base and instruct with the same fakes, on all of the sixty items."""

    def score(told, folder):
        job = kept.job_of(folder)
        fake.append(job.model_path.rpartition("/")[2])
        items = benchmarks.items(benchmarks.load_benchmark("gsm8k"), job.role, job.key, job.limit)
        right = json.loads((tmp_path / job.model_path / fakes.MARK).read_text())["score"] * len(items)
        rows = [
            {
                "id": item["id"],
                "strict": float(at < right),
                "lenient": float(at < right),
                "response": "",
                "stopped": True,
            }
            for at, item in enumerate(items)
        ]
        write_jsonl(folder / ITEMS, rows)
        found = evaluate.summarise(benchmarks.load_benchmark("gsm8k"), rows, job.role, job.few_shot)
        write_json(folder / OUTCOME, evaluate.Evaluated(score=found, cost=Cost(seconds=1.0, eval_seconds=1.0)))

    monkeypatch.setattr(command, "_score", score)
    monkeypatch.setattr(anchored, "_measure", score)
    return fake


def test_anchors_that_were_kept_are_not_measured_again_and_that_is_said(run, beside, tmp_path):
    assert run("anchors", "--model", "base", "--instruct", "instruct", "--benchmark", "gsm8k")[0] == 0
    assert beside == ["base", "base", "instruct"]
    engine = answered(tmp_path, 0.5)
    code, out, _ = run("evaluate", "mine", "--engine", engine, *BESIDE, "--json")
    found = json.loads(out)
    assert code == 0 and len(beside) == 3, "scored again"
    assert [(each["benchmark"], each["anchor"]) for each in found["anchors_kept"]] == [
        ("gsm8k", "base"), ("gsm8k", "instruct"), ("gsm8k", "base_few_shot"),
    ]  # fmt: skip
    assert found["anchors"] == "measured" and found["fraction"]["value"] == pytest.approx((0.5 - 0.1) / (0.9 - 0.1))
    assert found["base_few_shot"][0]["value"] == pytest.approx(0.1) and found["fraction_over_few_shot"] is not None
    out = run("evaluate", "mine", "--engine", engine, *BESIDE)[1]
    assert "gsm8k: base, instruct, base, few-shot as measured on 20" in out
    assert "posttrain anchors --again measures anew" in out and "the same over the few-shot base  0.500 [" in out


def test_anchors_that_were_not_kept_are_measured_once_and_then_kept(run, beside, tmp_path):
    engine = answered(tmp_path, 0.5)
    code, out, _ = run("evaluate", "mine", "--engine", engine, *BESIDE, "--json")
    assert (code, beside) == (0, ["base", "instruct"]) and "anchors_kept" not in json.loads(out)
    assert "base_few_shot" not in json.loads(out), "worked examples are shown by `posttrain anchors`"
    code, out, _ = run("evaluate", "mine", "--engine", engine, *BESIDE)
    assert code == 0 and len(beside) == 2 and "gsm8k: base, instruct as measured on 20" in out
    assert run("anchors", "--model", "base", "--instruct", "instruct", "--benchmark", "gsm8k")[0] == 0
    assert beside == ["base", "instruct", "base"], "only the few-shot base was missing"


@pytest.mark.parametrize("options", [["--limit", "20"], ["--split", "search"]], ids=" ".join)
def test_other_items_have_the_anchors_measured_anew(run, beside, tmp_path, options):
    engine = answered(tmp_path, 0.5)
    assert run("evaluate", "mine", "--engine", engine, *BESIDE)[0] == 0
    assert run("evaluate", "mine", "--engine", engine, *BESIDE, *options)[0] == 0
    assert beside == ["base", "instruct"] * 2


def test_a_changed_item_or_model_has_the_anchors_measured_anew(run, beside, tmp_path, monkeypatch):
    engine = answered(tmp_path, 0.5)
    assert run("evaluate", "mine", "--engine", engine, *BESIDE)[0] == 0
    (tmp_path / "base" / "config.json").write_text('{"a": 1}')
    assert run("evaluate", "mine", "--engine", engine, *BESIDE)[0] == 0 and beside == ["base", "instruct", "base"]
    other = tmp_path / "other" / "gsm8k"
    shutil.copytree(tmp_path / "data" / "gsm8k", other)
    text = (other / "test.jsonl").read_text().replace("test: What is 7 + 7?", "test: How much is 7 + 7?")
    (other / "test.jsonl").write_text(text)
    monkeypatch.setenv("POSTTRAIN_DATA_ROOT", str(tmp_path / "other"))
    assert run("evaluate", "mine", "--engine", engine, *BESIDE)[0] == 0
    assert beside == ["base", "instruct", "base", "base", "instruct"]


def test_decoding_that_options_change_is_no_kept_anchor_s(beside, run, tmp_path):
    benchmark = benchmarks.load_benchmark("gsm8k")
    held = anchored.Anchors({"base": "base"}, "own", "final", 0, None, None, print)
    assert held.score(benchmark, "base", tmp_path / "base") is not None and beside == ["base"]
    drawn = benchmark.model_copy(update={"decoding": Decoding(temperature=0.6, repeats=2)})
    assert held.score(drawn, "base", tmp_path / "base") is None
    assert held.score(benchmark, "model", tmp_path / "base") is None and beside == ["base"]


def test_verdicts_behind_a_kept_anchor_cost_nothing_now():
    row = {"id": "a", "asked": 2, "kept": 1, "dollars": 0.5}
    assert anchored._asked_before(row) == {"id": "a", "asked": 0, "kept": 3, "dollars": 0.0}
    assert anchored._asked_before({"id": "a", "responses": [row]})["responses"] == [anchored._asked_before(row)]
    assert anchored._asked_before({"id": "a", "strict": 1.0}) == {"id": "a", "strict": 1.0}


# ---------------------------------------------------------------- evaluate --anchors

PUBLISHED = ["--benchmark", "gsm8k", "--split", "final", "--base", QWEN, "--anchors", "published"]


def test_published_anchors_give_a_fraction_when_asked_for_and_say_so(run, tmp_path):
    engine = answered(tmp_path, 0.5)
    code, out, _ = run("evaluate", "mine", "--engine", engine, *PUBLISHED, "--json")
    found = json.loads(out)
    assert (code, found["anchors"]) == (0, "published")
    assert [found[key][0]["source"] for key in ("scores", "base", "base_few_shot", "instruct")] == ["measured"] + 3 * [
        "published"
    ]
    value, stderr = found["scores"][0]["value"], found["scores"][0]["stderr"]
    assert value == 0.5 and found["fraction"]["value"] == pytest.approx((0.5 - 0.1266) / (0.8848 - 0.1266))
    pairs = [(found[key][0]["value"], found[key][0]["stderr"]) for key in ("base", "instruct")]
    assert found["fraction"] == pytest.approx(fraction_of_scores((value, stderr), *pairs).interval.model_dump())
    assert found["fraction_over_few_shot"]["value"] == pytest.approx((0.5 - 0.4668) / (0.8848 - 0.4668))
    assert any("over 1319 items" in line and "60 of the final split" in line for line in found["anchors_note"])
    code, out, _ = run("evaluate", "mine", "--engine", engine, *PUBLISHED, "--instruct", SIBLING)
    assert code == 0 and "exact match, published" in out
    assert "harnesses differ" in out and "binomial error" in out and "0.492" in out


def test_published_anchors_on_the_search_split_say_what_they_are_of(run, tmp_path):
    engine = answered(tmp_path, 0.5)
    arguments = [*PUBLISHED[:2], *PUBLISHED[4:], "--limit", "10"]
    code, out, _ = run("evaluate", "mine", "--engine", engine, *arguments)
    assert code == 0 and "published over 1319 items of the whole test set, measured over 10 of the search split" in out


def test_a_published_anchor_never_stands_in_unasked_and_the_error_names_the_flag(run, tmp_path):
    engine = answered(tmp_path, 0.5)
    code, out, err = run("evaluate", "mine", "--engine", engine, *PUBLISHED[:6], "--instruct", SIBLING)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "not used unasked" in err and "--anchors published accepts that" in err
    code, _, err = run(
        "evaluate", "mine", "--engine", engine, "--benchmark", "bfcl_ast", "--base", QWEN, "--instruct", SIBLING
    )
    assert code == 2 and "--anchors published" not in err, "nothing is published there"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--base", "lab/qwen3-base"], "nothing is published for --base lab/qwen3-base on gsm8k; published are Qwen"),
        (["--benchmark", "tiny_gsm8k"], "nothing is published for benchmark 'tiny_gsm8k'"),
        (["--instruct", "Qwen/Qwen3-4B"], "is Qwen/Qwen3-1.7B's, not Qwen/Qwen3-4B's"),
        (["--anchors", "publisht"], "'measured', 'published'"),
    ],
)
def test_published_anchors_that_do_not_exist_are_refused_before_anything_is_scored(run, tmp_path, change, said):
    code, out, err = run("evaluate", "mine", "--engine", answered(tmp_path, 0.5), *PUBLISHED, *change)
    assert (code, out, err.count("\n")) == (2, "", 1) and said in err
    assert not (tmp_path / "runs").exists()


def test_published_anchors_need_the_base_s_name(run, tmp_path):
    code, _, err = run("evaluate", "mine", "--engine", answered(tmp_path, 0.5), *PUBLISHED[:4], *PUBLISHED[6:])
    assert code == 2 and "name the base model with --base" in err


def test_measured_anchors_are_the_default_and_said():
    found = {"gsm8k": {role: _evaluation(value) for role, value in (("model", 0.5), ("base", 0.1), ("instruct", 0.9))}}
    assert evaluated.fraction(found, [benchmarks.load_benchmark("gsm8k")])["anchors"] == "measured"


def _evaluation(value):
    results = [{"id": str(i), "strict": float(i < value * 100), "lenient": 1.0, "stopped": True} for i in range(100)]
    score = evaluate.summarise(benchmarks.load_benchmark("gsm8k"), results, "final", 0)
    return evaluate.Evaluation(score, results, 0.0)


def test_the_error_of_an_unreachable_model_is_left_alone_where_nothing_is_published():
    error = InputError("no network")
    assert published.instead(error, [benchmarks.load_benchmark("tiny_gsm8k")], QWEN) is error
    assert published.instead(error, [benchmarks.load_benchmark("gsm8k")], None) is error
    assert "--anchors published" in str(published.instead(error, [benchmarks.load_benchmark("gsm8k")], QWEN))


# ---------------------------------------------------------------- list


def test_list_shows_what_is_published_and_what_was_measured(run, fake):
    assert run(*ANCHORS, "--limit", "7")[0] == 0
    rows = json.loads(run("list", "anchors", "--json")[1])
    (gsm8k,) = [row for row in rows if row["name"] == f"{QWEN} on gsm8k"]
    assert gsm8k["source"] == "published" and gsm8k["scores"]["instruct"]["value"] == 0.8848
    measured = [row for row in rows if row["source"] == "measured"]
    assert [(row["name"], row["few_shot"]) for row in measured] == [
        ("base on tiny_gsm8k", 0), ("base on tiny_gsm8k", 4), ("instruct on tiny_gsm8k", 0),
    ]  # fmt: skip
    out = run("list", "anchors")[1]
    assert "published: base 0.127, base few shot 0.467, instruct 0.885 (PostTrainBench v1)" in out
    assert "on 7 items of the final split, after 4 examples" in out
    (row,) = [row for row in json.loads(run("list", "benchmarks", "--json")[1]) if row["name"] == "gsm8k"]
    assert QWEN in row["published_anchors"]
