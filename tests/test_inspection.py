from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from pipeline import benchmarks, catalogue, data, plugins
from pipeline.errors import DataError, InputError
from pipeline.inspection import inspect_source
from pipeline.jobs import TrialJob
from pipeline.trial import TrialRun
from pipeline.types import DataRef, ItemsKey, Recipe, Stage, Verdict

KEY = ItemsKey(lab_seed=9)


@pytest.fixture
def benchmark(tmp_path, monkeypatch):
    monkeypatch.setenv("POSTTRAIN_HOME", str(tmp_path))
    return benchmarks.load_benchmark("tiny_gsm8k")


@pytest.fixture
def guards():
    return {name: plugins.load("guards", name) for name in plugins.names("guards")}


def test_only_guards_that_look_at_sources_are_asked(benchmark, guards):
    assert inspect_source("maths_1", KEY, benchmark, guards) == [Verdict(guard="contamination", ok=True)]


def test_a_planted_source_is_refused_the_second_time_as_the_first(benchmark, guards, monkeypatch):
    first = inspect_source("maths_8", KEY, benchmark, guards)
    assert [verdict.ok for verdict in first] == [False] and len(first[0].evidence) == 5
    monkeypatch.setattr(catalogue, "rows", lambda *_: pytest.fail("read again"))
    assert inspect_source("maths_8", KEY, benchmark, guards) == first


def test_another_lab_or_another_guard_is_asked_anew(benchmark, guards, monkeypatch):
    inspect_source("maths_1", KEY, benchmark, guards)
    read = []
    monkeypatch.setattr(catalogue, "rows", lambda name, key: read.append(key.lab_seed) or [])
    inspect_source("maths_1", ItemsKey(lab_seed=10), benchmark, guards)
    own = SimpleNamespace(on_source=lambda name, rows, items: Verdict(guard="own", ok=False, reason=name))
    verdicts = [inspect_source("maths_1", KEY, benchmark, {**guards, "own": own}) for _ in range(2)]
    assert [verdict.guard for verdict in verdicts[0]] == ["contamination", "own"]
    assert read == [10, 9, 9]  # a guard that is in no file may change unseen: its verdicts are not kept


def test_an_unknown_source_is_an_error(benchmark, guards):
    with pytest.raises(InputError, match="unknown data source"):
        inspect_source("maths_0", KEY, benchmark, guards)


# ---------------------------------------------------------------- what is written to meanwhile

ASKED = [{"question": f"How many are {n} and {n + 3} of the pens?", "answer": f"#### {n}"} for n in range(30)]


@pytest.fixture
def copies(tmp_path, monkeypatch):
    """A folder of local copies of gsm8k, three of whose test items stand in its training rows."""
    monkeypatch.setenv("POSTTRAIN_HOME", str(tmp_path / "home"))
    root = tmp_path / "copies"
    monkeypatch.setenv("POSTTRAIN_DATA_ROOT", str(root))
    (root / "gsm8k").mkdir(parents=True)
    put(root / "gsm8k" / "train.jsonl", ASKED[:20])
    put(root / "gsm8k" / "test.jsonl", ASKED[20:])
    return root / "gsm8k"


def put(path, rows):
    path.write_text("\n".join(map(json.dumps, rows)))


def test_a_verdict_does_not_outlive_the_final_items(copies, guards, monkeypatch):
    def verdicts():
        found = inspect_source("gsm8k_train", ItemsKey(), benchmarks.load_benchmark("gsm8k"), guards)
        return [verdict.ok for verdict in found]

    assert verdicts() == [True]
    put(copies / "test.jsonl", ASKED[17:])
    assert verdicts() == [False]
    other = copies.parent.parent / "others" / "gsm8k"
    other.mkdir(parents=True)
    put(other / "train.jsonl", ASKED[:20])
    put(other / "test.jsonl", ASKED[20:])
    monkeypatch.setenv("POSTTRAIN_DATA_ROOT", str(other.parent))
    assert verdicts() == [True]


def test_a_source_that_is_exchanged_while_it_is_read_gets_no_verdict_and_no_rows(copies, guards, monkeypatch):
    read, clean = catalogue.rows, (copies / "train.jsonl").read_text()

    def exchanged(name, key):
        found = read(name, key)
        put(copies / "train.jsonl", ASKED)
        return found

    monkeypatch.setattr(catalogue, "rows", exchanged)
    benchmark = benchmarks.load_benchmark("gsm8k")
    with pytest.raises(DataError, match="gsm8k_train: was changed while it was read"):
        inspect_source("gsm8k_train", ItemsKey(), benchmark, guards)
    (copies / "train.jsonl").write_text(clean)
    with pytest.raises(DataError, match="gsm8k_train: was changed while it was read"):
        data.prepare("gsm8k_train", ItemsKey(), [])
    monkeypatch.setattr(catalogue, "rows", read)
    assert not inspect_source("gsm8k_train", ItemsKey(), benchmark, guards)[0].ok


def test_a_trial_does_not_train_on_rows_that_no_guard_has_seen(copies, guards, tmp_path):
    source = DataRef(name="gsm8k_train")
    job = TrialJob(
        trial="t", recipe=Recipe(model="m", stages=(Stage(data=(source,), params={}),)), model_path="m",
        benchmark="gsm8k", guards=("contamination",),
    )  # fmt: skip
    trial = TrialRun(job, tmp_path)
    trial._ask_guards(benchmarks.load_benchmark("gsm8k"))
    trial.built = [data.build(job.recipe.stages[0], ItemsKey(), [], 0)]
    trial._check_stamps()
    put(copies / "train.jsonl", ASKED)
    trial.built = [data.build(job.recipe.stages[0], ItemsKey(), [], 0)]
    with pytest.raises(DataError, match="gsm8k_train: was changed after the guards had looked at it"):
        trial._check_stamps()
