"""Kept anchors: found again exactly while nothing that decides them has changed."""

from __future__ import annotations

import shutil
import stat
import threading
from pathlib import Path

import pytest

from pipeline import anchors, fakes, machine
from pipeline.jobs import ITEMS, JOB, OUTCOME, EvaluateJob
from pipeline.machine import Machine
from pipeline.paths import read_json, read_jsonl, share, write_json
from pipeline.types import ItemsKey

HERE = Machine(cores=2, memory_bytes=2**33, device="cpu", device_name="a CPU", dtype="float32", threads=2)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("POSTTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(machine, "cached", lambda recheck=False: HERE)


@pytest.fixture
def job(tmp_path):
    return EvaluateJob(model_path=str(fakes.fake_model(tmp_path / "base", 0.3)), benchmark="tiny_gsm8k")


def measure(job, again=False, threads=2, entry=fakes.evaluate):
    found, _, was_kept = anchors.measured(job, "my/base", threads, again, entry)
    return found, was_kept


def never(folder: Path) -> None:
    raise AssertionError("it was measured again")


def test_what_was_measured_once_is_found_the_second_time(job):
    first, was_kept = measure(job)
    assert not was_kept and first.score.n == fakes.N_ITEMS
    again, was_kept = measure(job, entry=never)
    assert was_kept and again == first
    assert [kept.model for kept in anchors.listing()] == ["my/base"]


def test_again_measures_in_any_case(job):
    measure(job)
    with pytest.raises(AssertionError, match="measured again"):
        measure(job, again=True, entry=never)
    assert measure(job, again=True)[1] is False and len(anchors.listing()) == 1


def test_a_restored_job_has_the_same_files_as_a_measured_one(job, tmp_path):
    for name in ("one", "two"):
        write_json(tmp_path / name / JOB, job)
    path = anchors.place(job, 2)
    assert anchors.restore(tmp_path / "one", path) is None
    fakes.evaluate(tmp_path / "one")
    anchors.keep(tmp_path / "one", path, 2, "my/base")
    assert anchors.restore(tmp_path / "two", path)
    assert read_json(tmp_path / "one" / OUTCOME) == read_json(tmp_path / "two" / OUTCOME)
    assert read_jsonl(tmp_path / "one" / ITEMS) == read_jsonl(tmp_path / "two" / ITEMS)


def test_final_results_are_for_their_owner_only(job, tmp_path):
    final = job.model_copy(update={"role": "final"})
    measure(final)
    measure(job)
    modes = {path.name.split("-")[1]: stat.S_IMODE(path.stat().st_mode) for path in kept_files()}
    assert modes["final"] == 0o600 and modes["search"] != 0o600
    assert stat.S_IMODE((tmp_path / "home" / "anchors").stat().st_mode) == 0o700
    write_json(tmp_path / "run" / JOB, final)
    anchors.restore(tmp_path / "run", anchors.place(final, 2))
    assert stat.S_IMODE((tmp_path / "run" / ITEMS).stat().st_mode) == 0o600


def kept_files():
    from pipeline.paths import home

    return sorted((home() / "anchors").glob("*.jsonl"))


# ---------------------------------------------------------------- what decides


@pytest.mark.parametrize(
    "changes",
    [{"role": "final"}, {"few_shot": 2}, {"limit": 50}, {"key": {"lab_seed": 1}}, {"benchmark": "tiny_bfcl"}],
    ids=str,
)
def test_another_question_is_another_anchor(job, changes):
    assert anchors.place(EvaluateJob.model_validate(job.model_dump() | changes), 2) != anchors.place(job, 2)


def test_a_limit_that_takes_all_items_asks_the_same(job):
    assert anchors.place(job.model_copy(update={"limit": 300}), 2) == anchors.place(job, 2)


def test_other_arithmetic_other_code_and_other_libraries_are_other_anchors(job, monkeypatch):
    found = {anchors.place(job, threads) for threads in (1, 2)}
    monkeypatch.setattr(machine, "cached", lambda recheck=False: HERE.model_copy(update={"dtype": "bfloat16"}))
    found.add(anchors.place(job, 2))
    monkeypatch.setattr(anchors, "versions", lambda: {"torch": "9.9"})
    found.add(anchors.place(job, 2))
    monkeypatch.setattr(anchors, "code_digest", lambda code: "another")
    found.add(anchors.place(job, 2))
    assert len(found) == 5


def test_threads_do_not_matter_on_a_gpu(job, monkeypatch):
    monkeypatch.setattr(machine, "cached", lambda recheck=False: HERE.model_copy(update={"device": "cuda"}))
    assert anchors.place(job, 1) == anchors.place(job, 8)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "generation_config.json", "extra/more.json"])
def test_any_file_of_the_model_counts(job, file):
    before = anchors.place(job, 2)
    path = Path(job.model_path) / file
    path.parent.mkdir(exist_ok=True)
    path.write_text("changed")
    assert anchors.place(job, 2) != before
    path.write_text("CHANGED")  # of the same size
    assert len({before, anchors.place(job, 2)}) == 2


@pytest.mark.parametrize("file", ["README.md", ".cache/lock"])
def test_a_model_s_readme_and_hidden_files_do_not_count(job, file):
    before = anchors.place(job, 2)
    path = Path(job.model_path) / file
    path.parent.mkdir(exist_ok=True)
    path.write_text("changed")
    assert anchors.place(job, 2) == before


def test_a_copied_model_is_the_same_model(job, tmp_path):
    copied = shutil.copytree(job.model_path, tmp_path / "elsewhere")
    assert anchors.place(job.model_copy(update={"model_path": str(copied)}), 2) == anchors.place(job, 2)


def test_an_adapter_counts_with_its_base(job, tmp_path):
    adapter = job.model_copy(update={"model_path": str(tmp_path / "adapter")})
    write_json(tmp_path / "adapter" / "adapter_config.json", {"base_model_name_or_path": job.model_path})
    before = anchors.place(adapter, 2)
    assert before != anchors.place(job, 2)
    (Path(job.model_path) / "model.safetensors").write_text("trained on")
    assert anchors.place(adapter, 2) != before


def test_files_of_the_hub_s_cache_are_known_by_their_names(tmp_path):
    blob, snapshot = tmp_path / "blobs" / ("ab" * 32), tmp_path / "snapshots" / "main"
    blob.parent.mkdir()
    snapshot.mkdir(parents=True)
    blob.write_text("gigabytes")
    (snapshot / "model.safetensors").symlink_to(blob)
    before = anchors.fingerprint(snapshot)
    blob.write_text("GIGABYTES")  # not read: the cache never changes a blob
    assert anchors.fingerprint(snapshot) == before is not None
    (tmp_path / "blobs" / ("cd" * 32)).write_text("gigabytes")
    (snapshot / "model.safetensors").unlink()
    (snapshot / "model.safetensors").symlink_to(tmp_path / "blobs" / ("cd" * 32))
    assert anchors.fingerprint(snapshot) != before


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("max_tokens: 96", "max_tokens: 97", False),
        ("metric: exact match", "metric: right", False),
        ("summary: ", "summary: '' #", True),
        ("weight: 0.0935882347031865", "weight: 0.5", True),
    ],
)
def test_the_benchmark_s_definition_counts_where_it_decides(job, tmp_path, old, new, same):
    folder = tmp_path / "tiny_gsm8k"
    shutil.copytree(share("evals") / "tiny_gsm8k", folder)
    own = job.model_copy(update={"benchmark": str(folder)})
    before, path = anchors.place(own, 2), folder / "benchmark.yaml"
    assert before == anchors.place(job, 2)  # the same benchmark, wherever it lies
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    assert (anchors.place(own, 2) == before) == same


def test_the_benchmark_s_task_counts(job, tmp_path):
    folder = tmp_path / "tiny_gsm8k"
    shutil.copytree(share("evals") / "tiny_gsm8k", folder)
    own = job.model_copy(update={"benchmark": str(folder)})
    before = anchors.place(own, 2)
    with (folder / "utils.py").open("a") as file:
        file.write("# other rules\n")
    assert anchors.place(own, 2) != before


def test_what_belongs_to_one_run_or_cannot_be_known_is_not_kept(job, tmp_path):
    salted = job.model_copy(update={"role": "final", "key": ItemsKey(salt="one run's")})
    assert anchors.place(salted, 2) is None
    assert anchors.place(salted.model_copy(update={"role": "search"}), 2) == anchors.place(job, 2)
    assert anchors.place(job.model_copy(update={"engine": "my.engine"}), 2) is None
    assert anchors.place(job.model_copy(update={"model_path": "a label"}), 2) is None
    assert measure(salted)[1] is False and measure(salted)[1] is False and anchors.listing() == []


# ---------------------------------------------------------------- what goes wrong


DAMAGE = {
    "empty": lambda text: "",
    "cut": lambda text: text[:-20],
    "edited": lambda text: text.replace('"strict": 0.0', '"strict": 1.0', 1),
    "foreign": lambda text: "{}\n" + text,
    "short of an item": lambda text: text.rsplit("\n", 2)[0] + "\n",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_entry_is_measured_anew(job, damage):
    first, _ = measure(job)
    (path,) = kept_files()
    path.write_text(damage(path.read_text()))
    again, was_kept = measure(job)
    assert not was_kept and again.score == first.score
    assert measure(job, entry=never)[1]


def test_a_killed_measurement_leaves_nothing_and_loses_no_other(job):
    measure(job)

    def killed(folder: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(job.model_copy(update={"few_shot": 4}), entry=killed)
    assert len(kept_files()) == 1 and measure(job, entry=never)[1]


def test_a_model_that_changes_while_it_is_scored_is_not_kept(job):
    def changing(folder: Path) -> None:
        fakes.evaluate(folder)
        (Path(job.model_path) / "model.safetensors").write_text("trained on")

    measure(job, entry=changing)
    assert anchors.listing() == []


def test_of_two_that_want_an_anchor_at_once_one_measures(job):
    begun, waits, go_on, results = threading.Event(), threading.Event(), threading.Event(), []

    def hear(text: str) -> None:
        assert "waiting" in text
        waits.set()

    def slow(folder: Path) -> None:
        begun.set()
        assert go_on.wait(20)
        fakes.evaluate(folder)

    one = threading.Thread(target=lambda: results.append(measure(job, entry=slow)))
    other = threading.Thread(
        target=lambda: results.append(anchors.measured(job, "its", 2, entry=never, told=hear)[::2])
    )
    one.start()
    assert begun.wait(20)
    other.start()
    assert waits.wait(20) and results == []
    go_on.set()
    one.join(20)
    other.join(20)
    assert [was_kept for _, was_kept in results] == [False, True] and results[0][0] == results[1][0]


def test_without_a_place_to_keep_it_an_anchor_is_measured_all_the_same(job, tmp_path):
    (tmp_path / "home").write_text("a file where the cache should be")
    assert measure(job)[0].score.n == fakes.N_ITEMS
    assert anchors.listing() == []
