from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline import benchmarks, catalogue, data, kept, paths
from pipeline.data import BLOCK, build
from pipeline.errors import DataError, InputError
from pipeline.types import DataRef, ItemsKey, Stage

KEY = ItemsKey(lab_seed=1)


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """An empty catalogue and cache; call it with a name and rows to add a source."""
    monkeypatch.setenv("POSTTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(catalogue, "folder", lambda: tmp_path)

    def add(name, rows):
        entry = {"name": name, "loader": "file", "path": f"{name}.jsonl", "kind": "chat", "summary": "Rows."}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(entry))
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))

    return add


def stage(*references):
    return Stage(data=tuple(DataRef(**reference) for reference in references))


def pairs(n, answer="the answer"):
    return [{"question": f"What is item number {i} called?", "answer": f"{answer} {i}"} for i in range(n)]


def questions(built, source=0):
    return [row["messages"][0]["content"] for row in built.rows[source]]


# ---------------------------------------------------------------- building


def test_rows_of_every_source_become_messages(shelf):
    shelf("a", pairs(3))
    shelf("b", [{"text": "raw text"}])
    built = build(stage({"name": "a"}, {"name": "b", "weight": 3}), KEY, [], seed=0)
    assert (built.names, built.weights, built.counts) == (("a", "b"), (1, 3), {"a": 3, "b": 1})
    assert built.rows[0][2]["messages"][1] == {"role": "assistant", "content": "the answer 2"}
    assert built.rows[1] == [{"messages": [{"role": "text", "content": "raw text"}]}]


def test_rows_that_hold_search_items_are_removed_and_counted_by_source(shelf):
    shelf("a", pairs(5))
    shelf("b", pairs(2))
    search = [{"question": "what is ITEM number 3 called"}, {"question": "What is item number 1 called?"}]
    built = build(stage({"name": "a"}, {"name": "b"}), KEY, search, seed=0)
    assert built.removed == {"a": 2, "b": 1}
    assert questions(built) == [f"What is item number {i} called?" for i in (0, 2, 4)]
    assert built.summary() == {"rows": {"a": 3, "b": 1}, "removed": {"a": 2, "b": 1}, "filtered": {"a": 0, "b": 0}}


def test_filters_come_before_the_limit_and_are_counted(shelf):
    shelf("a", [*pairs(20, "short"), *pairs(20, "a much longer answer")])
    built = build(stage({"name": "a", "limit": 15, "filters": ["max_characters:45"]}), KEY, [], seed=0)
    assert built.counts == {"a": 15} and built.filtered == {"a": 25}
    assert all(row["messages"][1]["content"].startswith("short") for row in built.rows[0])


def test_a_limit_takes_a_sample_that_depends_on_the_seed_alone(shelf):
    shelf("a", pairs(100))
    limited = stage({"name": "a", "limit": 10})
    first, again, other = (questions(build(limited, KEY, [], seed)) for seed in (0, 0, 1))
    assert first == again != other
    assert len(set(first)) == 10 and first == sorted(first, key=lambda text: int(text.split()[4]))


def test_a_limit_above_the_size_changes_nothing(shelf):
    shelf("a", pairs(3))
    assert build(stage({"name": "a", "limit": 50}), KEY, [], 0).counts == {"a": 3}


def test_a_source_of_weight_zero_is_not_even_read(shelf):
    shelf("a", pairs(3))
    assert build(stage({"name": "a"}, {"name": "ghost", "weight": 0}), KEY, [], 0).names == ("a",)


def test_tools_stay_with_their_row(shelf):
    shelf("a", [{**pairs(1)[0], "tools": [{"name": "f"}]}])
    assert build(stage({"name": "a"}), KEY, [], 0).rows[0][0]["tools"] == [{"name": "f"}]


@pytest.mark.parametrize(
    ("rows", "reference", "said"),
    [
        ([*pairs(2), {"question": "Q", "answer": None}], {}, "a, row 3: question or answer is empty"),
        ([*pairs(1), {"q": "Q"}], {}, "a, row 2: no known layout in the columns q"),
        ([{"input_ids": [1, 2, 3]}], {}, "a, row 1: no known layout in the columns input_ids"),
        (pairs(2), {"filters": ["min_characters:500"]}, "a: no row is left"),
        ([], {}, "a.jsonl: the file has no rows"),
    ],
)
def test_unusable_data_is_an_error_of_one_line(shelf, rows, reference, said):
    shelf("a", rows)
    with pytest.raises(DataError, match="^[^\n]*$") as caught:
        build(stage({"name": "a", **reference}), KEY, [], 0)
    assert said in str(caught.value)


def test_incomplete_rows_can_be_left_out_by_a_filter(shelf):
    shelf("a", [*pairs(2), {"question": "Q", "answer": ""}])
    built = build(stage({"name": "a", "filters": ["complete"]}), KEY, [], 0)
    assert (built.counts, built.filtered) == ({"a": 2}, {"a": 1})


@pytest.mark.parametrize(
    ("references", "said"),
    [
        ([{"name": "a", "weight": 0}], "all weights are 0"),
        ([{"name": "a"}, {"name": "a"}], "named twice"),
        ([{"name": "b"}], "unknown data source 'b': known are a"),
        ([{"name": "a", "filters": ["best"]}], "unknown filter 'best'"),
    ],
)
def test_a_wrong_mixture_is_the_user_s_error(shelf, references, said):
    shelf("a", pairs(2))
    with pytest.raises(InputError, match=said):
        build(stage(*references), KEY, [], 0)


# ---------------------------------------------------------------- the cache


def test_prepared_rows_are_read_from_the_cache_and_made_anew_when_the_data_changes(shelf, monkeypatch):
    shelf("a", pairs(3))
    build(stage({"name": "a"}), KEY, [], 0)
    monkeypatch.setattr(data, "_prepare", lambda *_: pytest.fail("prepared again"))
    assert build(stage({"name": "a"}), KEY, [], 0).counts == {"a": 3}


def test_the_cache_tells_data_items_and_code_apart(shelf, monkeypatch):
    shelf("a", pairs(3))
    assert build(stage({"name": "a"}), KEY, [], 0).counts == {"a": 3}
    assert build(stage({"name": "a"}), KEY, pairs(1), 0).counts == {"a": 2}
    shelf("a", pairs(4))
    assert build(stage({"name": "a"}), KEY, [], 0).counts == {"a": 4}
    monkeypatch.setattr(kept, "code_digest", lambda: "another version")
    build(stage({"name": "a"}), KEY, [], 0)
    assert len(list((paths.home() / "rows").iterdir())) == 4


def test_a_damaged_cache_is_made_anew(shelf):
    shelf("a", pairs(3))
    build(stage({"name": "a"}), KEY, [], 0)
    for path in (paths.home() / "rows").iterdir():
        path.write_text('{"rows": [')
    assert build(stage({"name": "a"}), KEY, [], 0).counts == {"a": 3}


def test_without_a_cache_folder_rows_are_made_all_the_same(shelf, tmp_path):
    shelf("a", pairs(3))
    (tmp_path / "home").write_text("a file in the place of the folder")
    assert build(stage({"name": "a"}), KEY, [], 0).counts == {"a": 3}


def test_a_build_is_identical_in_every_process(tmp_path):
    code = (
        "from pipeline import benchmarks, data; from pipeline.paths import digest\n"
        "from pipeline.types import DataRef, ItemsKey, Stage\n"
        "key = ItemsKey(lab_seed=1)\n"
        "search = benchmarks.items(benchmarks.load_benchmark('tiny_gsm8k'), 'search', key)\n"
        "refs = (DataRef(name='maths_1', weight=0.3, limit=50), DataRef(name='maths_2', filters=('dedupe',)))\n"
        "built = data.build(Stage(data=refs), key, search, 7)\n"
        "print(digest([built.rows, built.order(500, 7)]))\n"
    )

    def run(hash_seed, home):
        env = {"PYTHONHASHSEED": hash_seed, "POSTTRAIN_HOME": str(tmp_path / home)}
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env).stdout

    assert run("1", "cold") == run("2", "cold") == run("3", "other") != ""


def test_generated_sources_overlap_no_search_items():
    search = benchmarks.items(benchmarks.load_benchmark("tiny_gpqa"), "search", KEY)
    built = build(stage(*({"name": f"facts_{i}"} for i in range(1, 8))), KEY, search, 0)
    assert set(built.removed.values()) == {0}


# ---------------------------------------------------------------- mixing


def stream(sizes, weights, length, seed):
    """The order of sources of so many rows, each a group of its own."""
    return data.stream([[(row,) for row in range(size)] for size in sizes], weights, length, seed)


sizes_and_weights = st.lists(st.tuples(st.integers(1, 40), st.floats(0.01, 10)), min_size=1, max_size=6)


@given(sizes_and_weights, st.integers(0, 300), st.integers(0, 300), st.integers(0, 99))
def test_a_longer_stream_begins_with_the_shorter_one(mixture, short, more, seed):
    sizes, weights = zip(*mixture, strict=True)
    assert stream(sizes, weights, short + more, seed)[:short] == stream(sizes, weights, short, seed)


@given(sizes_and_weights, st.integers(1, 8), st.integers(0, 99))
def test_weights_are_shares_of_rows(mixture, blocks, seed):
    sizes, weights = zip(*mixture, strict=True)
    dealt = Counter(source for source, _ in stream(sizes, weights, blocks * BLOCK, seed))
    for source, weight in enumerate(weights):
        assert abs(dealt[source] - blocks * BLOCK * weight / sum(weights)) <= len(sizes)


@given(sizes_and_weights, st.integers(0, 99))
def test_a_source_repeats_a_row_only_after_all_its_others(mixture, seed):
    sizes, weights = zip(*mixture, strict=True)
    order = stream(sizes, weights, 400, seed)
    for source, size in enumerate(sizes):
        rows = [row for s, row in order if s == source]
        for start in range(0, len(rows) - size + 1, size):
            assert sorted(rows[start : start + size]) == list(range(size))


def test_epochs_and_seeds_have_different_orders():
    rows = [row for _, row in stream([50], [1.0], 100, 0)]
    assert rows[:50] != rows[50:] and rows[:50] != [row for _, row in stream([50], [1.0], 50, 1)]


def test_a_source_s_own_order_does_not_depend_on_the_others():
    alone = [row for source, row in stream([30, 30], [1.0, 0.0], 20, 0)]
    mixed = [row for source, row in stream([30, 30], [1.0, 1.0], 200, 0) if source == 0]
    assert mixed[:20] == alone


def test_the_order_is_known_for_good():
    # a changed order would silently change what every recorded recipe means
    assert stream([3, 5], [2.0, 1.0], 9, seed=7) == [
        (0, 2),
        (0, 1),
        (1, 1),
        (1, 0),
        (0, 0),
        (0, 1),
        (0, 2),
        (0, 0),
        (1, 4),
    ]


@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=30), st.integers(0, 99))
def test_rows_of_one_group_follow_each_other_in_their_order_and_groups_are_dealt_anew(names, seed):
    rows = [{"_group": name} if name else {} for name in names]
    found = data.groups(rows)
    order = [row for _, row in data.stream([found], [1.0], len(rows), seed)]
    assert sorted(order) == list(range(len(rows)))
    for group in found:
        assert len({names[row] for row in group}) == 1 and (names[group[0]] or len(group) == 1)
        begin = order.index(group[0])
        assert tuple(order[begin : begin + len(group)]) == group


def test_a_limit_takes_whole_groups_and_rows_keep_theirs(shelf):
    rows = [{"question": f"What is {n}?", "answer": str(n), "_group": f"g{n // 4}"} for n in range(400)]
    shelf("grouped", rows)
    stage = Stage(data=(DataRef(name="grouped", limit=50),), params={"tokens": 100})
    (found,) = build(stage, KEY, [], seed=3).rows
    sizes = Counter(row["_group"] for row in found)
    assert len(found) == 50 and sorted(sizes.values()) == [2, *[4] * 12]
    assert {row["messages"][1]["content"] for row in found} != {str(n) for n in range(50)}


@pytest.mark.parametrize("weights", [[0.0, 0.0], [-1.0, 2.0]])
def test_weights_that_share_out_nothing_are_refused(weights):
    with pytest.raises(InputError, match="weights must be 0 or more"):
        stream([1, 1], weights, 5, 0)


def test_a_weighted_source_without_rows_is_refused():
    with pytest.raises(DataError, match="has no rows"):
        stream([0, 3], [1.0, 1.0], 5, 0)
