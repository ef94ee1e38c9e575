"""Options for a CPU against stock TRL: what is measured, and how seconds to equal accuracy are found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import machine
from pipeline.bench import fast
from pipeline.commands import bench_fast
from pipeline.errors import DataError, InputError
from pipeline.params import SftParams
from pipeline.reporting.plain import to_markdown, to_text
from tests import tiny_models


@pytest.fixture(scope="module")
def model() -> Path:
    """Made before anything is captured: tokenizers show their progress on stdout."""
    return tiny_models.taught("qwen3")


def look(seconds: float, accuracy: float, loss: float = 1.0) -> dict[str, float]:
    return {"seconds": seconds, "accuracy": accuracy, "loss": loss}


def test_seconds_to_equal_accuracy_lie_on_the_line_between_two_looks():
    looks = [look(10, 0.1, 3.0), look(20, 0.3, 2.0), look(30, 0.3, 2.5), look(40, 0.5, 1.0)]
    assert fast.reached(looks, lambda found: found["accuracy"] - 0.2) == pytest.approx(15)
    assert fast.reached(looks, lambda found: found["accuracy"] - 0.5) == pytest.approx(40)
    assert fast.reached(looks, lambda found: found["accuracy"] - 0.05) == 10  # at the first look at the latest
    assert fast.reached(looks, lambda found: found["accuracy"] - 0.6) is None
    assert fast.reached(looks, lambda found: 1.75 - found["loss"]) == pytest.approx(35)
    assert fast.reached([], lambda found: 1.0) is None


def test_each_side_is_held_against_the_end_of_the_reference():
    sides = {"trl": {"looks": [look(10, 0.1, 3.0), look(20, 0.2, 2.0)]}, "ours": {"looks": [look(5, 0.2, 1.5)]}}
    equal = fast.to_equal(sides, "trl")
    assert equal == {"trl": {"accuracy": 20, "loss": 20}, "ours": {"accuracy": 5, "loss": 5}}


def test_trls_best_rate_is_that_of_the_best_accuracy_then_of_the_lowest_loss():
    plan = fast.Plan("m", "m", 1.0, (1e-3, 2e-3, 4e-3))
    ends = {1e-3: look(1, 0.2, 1.0), 2e-3: look(1, 0.3, 1.2), 4e-3: look(1, 0.3, 1.1)}
    assert fast.best_rate(plan, {f"trl {rate:g}": {"looks": [end]} for rate, end in ends.items()}) == 4e-3


def test_every_side_is_a_recipe_and_each_option_stands_alone_once():
    plan = fast.Plan("m", "m", 1.0, (1e-3,))
    found = fast.variants(plan)
    assert set(found) == set(fast.OPTIONS)
    for sides in found.values():
        for params in sides.values():
            SftParams(**params)
    for option in ("logits", "prefix", "streams"):
        (side,) = found[option].values()
        assert {**side, option: fast.PLAIN[option]} == fast.PLAIN and option not in side
    assert len(set(found["kept"]["kept, first trial"]) & {"lower_outputs", "sort_window"}) == 1
    assert set(found["together"]["together, later trial"]) == {"layers", "lower_outputs", "sort_window"}


def test_rows_are_read_from_two_columns_of_a_file(tmp_path):
    (tmp_path / "a.csv").write_text('text,category\n"How, then?",lost\nWhere?,found\n')
    found = fast.rows_from(tmp_path / "a.csv", ("text", "category"))
    assert [row["messages"][1]["content"] for row in found] == ["lost", "found"]
    assert found[0]["messages"][0] == {"role": "user", "content": "How, then?"}
    with pytest.raises(InputError, match="a.csv, row 1: no label: its columns are text, category"):
        fast.rows_from(tmp_path / "a.csv", ("text", "label"))
    (tmp_path / "b.csv").write_text("text,category\nHow?,\n")
    with pytest.raises(InputError, match="b.csv, row 1: no category"):
        fast.rows_from(tmp_path / "b.csv", ("text", "category"))
    with pytest.raises(DataError, match="no such file"):
        fast.rows_from(tmp_path / "c.csv", ("text", "category"))


@pytest.fixture
def files(tmp_path):
    lines = [f'"{asked}","{told}"' for asked, told in (tiny_models.sums(number) for number in range(81))]
    for name in ("train.csv", "test.csv"):
        (tmp_path / name).write_text("question,answer\n" + "\n".join(lines) + "\n")
    return tmp_path


@pytest.mark.slow
def test_a_measurement_from_files_to_a_page_that_goes_on_where_it_stopped(model, command, files, monkeypatch):
    here = machine.Machine(cores=1, memory_bytes=1, device="cpu", device_name="", dtype="float32", threads=1)
    monkeypatch.setattr(machine, "cached", lambda: here)
    arguments = ["--model", model, "--train", files / "train.csv", "--test", files / "test.csv"]
    arguments += ["--input", "question", "--target", "answer", "--train-seconds", "1", "--rates", "5e-3"]
    arguments += ["--sides", "kept", "--layers", "1", "--items", "12", "--out", files / "out"]
    code, out, err = command("bench", "fast", *arguments, "--json")
    assert code == 0, err
    document = json.loads(out)
    assert list(document["sides"]) == ["trl 0.005", "plain", "kept, first trial", "kept, later trial"]
    assert document["best_rate"] == 0.005 and document["reference"] == "trl 0.005"
    for side in document["sides"].values():
        assert len(side["looks"]) >= 1 and side["looks"][-1]["seconds"] >= 1.0 and side["tokens"] > 0
        assert side["remarks"] == {}
    assert document["seconds_to_equal"]["trl 0.005"]["loss"] is not None
    homes = files / "out" / "homes"
    assert list((homes / "kept" / "lower_outputs").glob("*/*")) and not (homes / "plain" / "lower_outputs").exists()
    assert "kept, later trial" in to_text(fast.page(document)) and "times faster" in to_markdown(fast.page(document))
    (files / "out" / "bench.json").write_text('{"kind": "fast"}')  # as an interruption leaves it
    again = json.loads(command("bench", "fast", *arguments, "--json")[1])
    assert again["sides"] == document["sides"]
    assert (files / "out" / "bench.md").read_text() == to_markdown(fast.page(document))


WRONG = {
    "unknown side": (["--sides", "layers,magic"], "unknown side 'magic'"),
    "rates that are none": (["--rates", "fast"], "--rates 'fast'"),
    "a rate twice": (["--rates", "1e-3,0.001"], "--rates"),
    "a rate that is too high": (["--rates", "2"], "--rates"),
    "no layers": (["--layers", "0"], "--layers '0'"),
    "layers in words": (["--layers", "most"], "--layers 'most'"),
    "a missing column": (["--input", "query"], "no query: its columns are question, answer"),
    "a missing file": (["--train", "nowhere.csv"], "nowhere.csv: no such file"),
    "an unknown model": (["--model", "./nowhere"], "unknown model './nowhere'"),
    "no time": (["--train-seconds", "0"], "--train-seconds"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_one_line_and_nothing_is_written(model, command, files, monkeypatch, case):
    monkeypatch.chdir(files)
    given, hint = WRONG[case]
    standard = {
        "--model": str(model), "--train": "train.csv", "--test": "test.csv",
        "--input": "question", "--target": "answer", "--out": "out",
    }  # fmt: skip
    standard |= dict(zip(given[::2], given[1::2], strict=True))
    code, out, err = command("bench", "fast", *(part for pair in standard.items() for part in pair))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert hint in err and "Traceback" not in err
    assert not Path("out").exists()


def test_sides_come_in_their_own_order_and_layers_as_a_number_or_a_word():
    assert bench_fast._sides("together, layers", fast.OPTIONS) == ("layers", "together")
    assert (bench_fast._layers("7"), bench_fast._layers("upper_half")) == (7, "upper_half")
    assert bench_fast._rates("5e-4, 1e-3") == (5e-4, 1e-3)
