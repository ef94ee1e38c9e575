from __future__ import annotations

import os
import shutil
import stat

import pytest

from pipeline.guards import files


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run folder beside a copy of what matters, small."""
    evals, recipes, model = tmp_path / "evals", tmp_path / "recipes", tmp_path / "model"
    shutil.copytree(files.share("evals"), evals)
    shutil.copytree(files.share("recipes") / "data", recipes / "data")
    shutil.copytree(files.PACKAGE / "guards", tmp_path / "pipeline" / "guards")
    model.mkdir()
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes(bytes(range(256)) * 2000)
    (tmp_path / "run" / "sealed").mkdir(parents=True)
    (tmp_path / "run" / "sealed" / "salt").write_text("pepper")
    monkeypatch.setattr(files, "PACKAGE", tmp_path / "pipeline")
    monkeypatch.setattr(files, "share", lambda kind: {"evals": evals, "recipes": recipes}[kind])
    return tmp_path


def seal(run):
    return files.seal(run / "run", {"base": run / "model", "instruct": run / "a-hub/id"})


def test_a_run_that_changed_nothing_passes(run):
    sealed = seal(run)
    assert files.on_finish(run / "run", sealed).model_dump(exclude_defaults=True) == {"guard": "files", "ok": True}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("evals/tiny_gsm8k/benchmark.yaml", "evals/tiny_gsm8k/benchmark.yaml"),
        ("recipes/data/maths.yaml", "recipes/data/maths.yaml"),
        ("pipeline/guards/files.py", "pipeline/guards/files.py"),
        ("model/config.json", "model base/config.json"),
        ("model/model.safetensors", "model base/model.safetensors"),
        ("run/sealed/salt", "sealed/salt"),
    ],
)
def test_a_changed_or_removed_file_is_named(run, path, name):
    sealed = seal(run)
    before = (run / path).read_bytes()
    (run / path).write_bytes(before[:-1] + b"#")
    found = files.on_finish(run / "run", sealed)
    assert not found.ok and found.reason == f"since the start of the run: {name} was changed"
    (run / path).unlink()
    assert files.on_finish(run / "run", sealed).evidence == (f"{name} was removed",)
    (run / path).write_bytes(before)
    assert files.on_finish(run / "run", sealed).ok


def test_a_file_added_beside_known_ones_is_named(run):
    sealed = seal(run)
    (run / "model" / "generation_config.json").write_text("{}")
    assert files.on_finish(run / "run", sealed).evidence == ("model base/generation_config.json was added",)


def test_a_new_benchmark_new_sealed_items_and_byte_code_are_no_change(run):
    sealed = seal(run)
    for path in ("evals/mine/benchmark.yaml", "run/sealed/items.jsonl", "pipeline/guards/__pycache__/files.pyc"):
        (run / path).parent.mkdir(exist_ok=True)
        (run / path).write_text("x")
    assert files.on_finish(run / "run", sealed).ok


def test_without_the_fingerprints_of_the_start_a_run_does_not_pass(run):
    found = files.on_finish(run / "run")
    assert not found.ok and "cannot be read" in found.reason
    (run / "run" / "sealed" / "files.json").write_text("[]")
    assert not files.on_finish(run / "run").ok


def test_exchanged_fingerprints_are_noticed(run):
    sealed = seal(run)
    (run / "model" / "config.json").write_text('{"architectures": ["Other"]}')
    seal(run)  # as a cheat would, after changing the model
    found = files.on_finish(run / "run", sealed)
    assert not found.ok and "not the fingerprints that were taken at the start" in found.reason


def test_only_the_owner_can_read_the_fingerprints(run):
    seal(run)
    assert stat.S_IMODE((run / "run" / "sealed" / "files.json").stat().st_mode) == 0o600


def test_the_harness_is_covered(run, monkeypatch):
    sealed = seal(run)
    monkeypatch.setattr(files.importlib.metadata, "version", lambda name: "0.0.0")
    assert files.on_finish(run / "run", sealed).evidence == ("lm_eval version was changed",)
    assert "lm_eval/evaluator.py" in files._harness("")


def test_of_a_large_file_size_time_and_sampled_blocks_count(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "WHOLE", 1000)
    monkeypatch.setattr(files, "BLOCK", 16)
    path = tmp_path / "weights"
    path.write_bytes(bytes(100_000))
    os.utime(path, ns=(5, 5))
    before = files.fingerprint(path, "secret")
    assert before.startswith("sampled 100000 5 ") and before == files.fingerprint(path, "secret")
    os.utime(path, ns=(5, 6))
    assert files.fingerprint(path, "secret") != before
    for place in (3, 99_990):
        path.write_bytes(bytes(place) + b"x" + bytes(100_000 - place - 1))
        os.utime(path, ns=(5, 5))
        assert files.fingerprint(path, "secret") != before


def test_many_changes_are_counted_in_the_reason(run):
    sealed = seal(run)
    removed = [*(run / "recipes" / "data").glob("*.yaml"), *(run / "evals").glob("tiny_*/benchmark.yaml")][:6]
    for path in removed:
        path.unlink()
    found = files.on_finish(run / "run", sealed)
    assert len(found.evidence) == 6 and found.reason.endswith("and 1 more")


def test_single_files_are_covered_and_new_ones_beside_them_are_no_change(run):
    copy = run / "copies" / "test.jsonl"
    copy.parent.mkdir()
    copy.write_text("{}")
    sealed = files.seal(run / "run", {f"file {copy}": copy})
    (copy.parent / "another.jsonl").write_text("{}")
    assert files.on_finish(run / "run", sealed).ok
    copy.write_text("[]")
    assert files.on_finish(run / "run", sealed).evidence == (f"file {copy} was changed",)
    copy.unlink()
    assert files.on_finish(run / "run", sealed).evidence == (f"file {copy} was removed",)
