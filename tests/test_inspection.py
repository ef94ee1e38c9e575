from __future__ import annotations

from types import SimpleNamespace

import pytest

from pipeline import benchmarks, catalogue, plugins
from pipeline.errors import InputError
from pipeline.inspection import inspect_source
from pipeline.types import ItemsKey, Verdict

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
