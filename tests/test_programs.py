"""A scoring program's command line: what is refused before anything runs, and what is run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import benchmarks, programs
from pipeline.errors import InputError
from pipeline.types import ItemsKey, Program

GOOD = "python my.py {model} {json}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "my.py").write_text("import json\n")
    return tmp_path


def program(folder: Path, command: str = GOOD, **more) -> Program:
    return Program(command=command, folder=str(folder), **more)


@pytest.mark.parametrize(
    "command, why",
    [
        ("", "the command is empty"),
        ("   ", "the command is empty"),
        ("python my.py --out {json}", r"has no \{model\}: write it such as"),
        ("python my.py {model}", r"has no \{json\}"),
        ("python my.py {modle} {json}", r"unknown placeholder \{modle\}: known are"),
        ("python my.py '{model} {json}", "cannot be split into words"),
        ("python my.py {model} {json} {limit}", "say how many items that is with --limit"),
        ("python other.py {model} {json}", "other.py: no such file"),
        ("no-such-program-here {model} {json}", "there is no program 'no-such-program-here'"),
        ("./my.py {model} {json}", "there is no program './my.py'"),  # not executable
        ("python my.py {model} {json} | tee log", "'|' is a shell's"),
        ("python my.py {model} > {json}", "'>' is a shell's"),
        ("cd there && python my.py {model} {json}", "'&&' is a shell's"),
    ],
)
def test_a_command_that_cannot_be_run_is_refused_in_one_line(folder, command, why):
    with pytest.raises(InputError, match=why.replace("|", r"\|")) as error:
        programs.check(program(folder, command))
    assert "\n" not in str(error.value)


def test_a_limit_without_its_place_is_refused(folder):
    with pytest.raises(InputError, match="no .limit. to put it"):
        programs.check(program(folder, limit=5))
    programs.check(program(folder, GOOD + " --limit {limit}", limit=5))


def test_words_are_split_before_they_are_filled_so_that_no_path_is_code(folder):
    asked = program(folder, "python my.py --model={model} {json} {limit} {split} '{\"a\": 1}'", limit=7)
    words = programs.command(asked, Path("/a b/$(touch x); rm"), Path("/out.json"), "final")
    assert words[1:] == ["my.py", "--model=/a b/$(touch x); rm", "/out.json", "7", "final", '{"a": 1}']


@given(st.text(min_size=1, max_size=30).filter(lambda text: "\x00" not in text))
def test_any_path_stays_one_word(name):
    asked = Program(command=GOOD, folder="/")
    assert programs.command(asked, Path("/m") / name, Path("/j"), "search")[2] == str(Path("/m") / name)


def test_python_is_the_one_on_path_unless_only_this_one_has_what_the_script_imports(folder, monkeypatch):
    other = folder / "bin" / "python"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\nexit 1\n")  # a Python that finds nothing
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(other.parent))
    words = ["python", "my.py"]
    programs._lacks.cache_clear()
    assert programs.executable(words, folder) == sys.executable
    (folder / "my.py").write_text("import no_such_module_anywhere\n")
    assert programs.executable(words, folder) == str(other)
    (folder / "my.py").write_text("print(1)\n")
    assert programs.executable(words, folder) == str(other)
    monkeypatch.setenv("PATH", str(folder))
    assert programs.executable(words, folder) == sys.executable


def test_a_catalogue_benchmark_keeps_its_data_and_is_scored_by_the_program(folder):
    found = programs.benchmark("tiny_gsm8k", program=program(folder, metric="accuracy"))
    assert (found.name, found.kind, found.scorer, found.metric) == ("tiny_gsm8k", "maths", "program", "accuracy")
    assert benchmarks.final_pool(found, ItemsKey())


def test_the_whole_test_set_of_a_real_benchmark_is_kept_from_training_and_no_more(folder):
    found = programs.benchmark("gsm8k", program=program(folder))
    assert found.items["search"] == found.items["final"] and found.items["whole"]
    assert found.items["search"]["sets"] == ["test"]


def test_a_program_alone_makes_a_benchmark_without_items(folder):
    found = programs.benchmark("my", program=program(folder, alone=True))
    assert found.name == "my" and benchmarks.items(found, "search", ItemsKey()) == []
    assert benchmarks.final_pool(found, ItemsKey()) == []


def test_a_program_is_called_after_its_script():
    assert programs.name_of("python dir/my_metric.py {model} {json}") == "my_metric"
    assert programs.name_of("./score {model} {json}") == "score"


# ---------------------------------------------------------------- a benchmark's folder


def write(folder: Path, text: str) -> Path:
    place = folder / "mine"
    place.mkdir(exist_ok=True)
    common = "name: mine\nsummary: my own\nmetric: accuracy\nkind: maths\nrecipe: lora_default\n"
    (place / "benchmark.yaml").write_text(common + text)
    return place


def test_a_folder_with_a_command_is_a_benchmark(folder):
    place = write(folder, f"scorer: program\ncommand: {GOOD}\ntime_limit: 60\n")
    found = programs.benchmark(str(place))
    assert found.program == Program(command=GOOD, folder=str(place), metric="accuracy", time_limit=60)
    assert benchmarks.items(found, "search", ItemsKey()) == [] and found.weight == 1.0


@pytest.mark.parametrize("text", ["scorer: program\n", f"command: {GOOD}\nitems: {{world: maths}}\n"])
def test_a_command_and_its_scorer_belong_together(folder, text):
    with pytest.raises(InputError, match="is missing: the two belong together"):
        programs.benchmark(str(write(folder, text)))


def test_a_folder_without_items_is_refused_where_no_program_scores(folder):
    with pytest.raises(InputError, match="benchmark.yaml: items"):
        programs.benchmark(str(write(folder, "")))
