"""Every world: splits that cannot overlap, sources of every role, answers that the benchmark accepts."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import benchmarks, worlds
from pipeline.formats import to_messages
from pipeline.overlap import Overlap
from pipeline.paths import PACKAGE
from pipeline.worlds.common import LAYOUTS, POOL, ROLES, SPLITS, WORDINGS, bucket, generator, in_layout
from tests import tasks

BENCHMARKS = {benchmarks.load_benchmark(name).items["world"]: name for name in benchmarks.tiny_names()}
GOOD = {"prose": 0.5}  # the share of a point from which an answer counts as right: a tie with a flawless baseline there
each_world = pytest.mark.parametrize("name", worlds.names())


def accepted(name: str, items: list[dict], style: str) -> list[bool]:
    """Whether the world's benchmark accepts its answers in a style, strictly."""
    task = tasks.utils(BENCHMARKS[name])
    answers = [worlds.get(name).respond(item, style) for item in items]
    if hasattr(task, "run_all"):
        if shutil.which("bwrap") is None:
            pytest.skip("bubblewrap is not installed")
        answers = task.run_all([[answer] for answer in answers], items)
    scores = [task.process_results(item, [answer])["strict"] for item, answer in zip(items, answers, strict=True)]
    return [score >= GOOD.get(name, 1.0) for score in scores]


@each_world
@given(lab_seed=st.integers(0, 10**6))
@settings(max_examples=3, deadline=None)
def test_no_training_row_asks_a_search_or_final_question(name: str, lab_seed: int) -> None:
    world = worlds.get(name)
    held_out = {item["question"] for item in world.items(lab_seed, "search", 300)}
    held_out |= {item["question"] for item in world.final_pool(lab_seed)}
    asked = {question for role in ROLES for question, _ in world.pairs(lab_seed, role, 300)}
    asked |= {question for question, _ in world.lessons(lab_seed, 300)}
    assert not held_out & asked


@each_world
def test_search_and_final_items_are_disjoint_and_many(name: str) -> None:
    world = worlds.get(name)
    search = {item["question"] for item in world.items(3, "search", 300)}
    final = {item["question"] for item in world.final_pool(3)}
    assert len(search) == 300 and len(final) == POOL and not search & final
    assert not set(SPLITS["search"]) & set(SPLITS["final"]) and not set(SPLITS["train"]) & set(SPLITS["final"])
    assert all(bucket(item["about"]) in SPLITS["final"] for item in world.final_pool(3))


@each_world
def test_the_salt_selects_final_items_from_the_pool(name: str) -> None:
    world = worlds.get(name)
    one, other = ([item["id"] for item in world.items(0, "final", 500, salt)] for salt in ("a", "b"))
    assert len(set(one)) == 500 and one != other and one == [i["id"] for i in world.items(0, "final", 500, "a")]
    assert set(one) <= {item["id"] for item in world.final_pool(0)}
    with pytest.raises(ValueError, match="reserves 2000"):
        world.items(0, "final", POOL + 1)


@each_world
def test_worked_answers_are_right_and_the_other_styles_are_not_accepted(name: str) -> None:
    world = worlds.get(name)
    items = world.items(1, "search", 200)
    assert all(accepted(name, items, "worked"))
    assert not any(accepted(name, items, "format"))
    wrong = accepted(name, items, "wrong").count(False) / len(items)
    assert 0.2 < wrong < 0.6  # a careless annotator, not a hostile one


@each_world
def test_which_source_plays_which_role_is_drawn_from_the_lab_seed(name: str) -> None:
    world = worlds.get(name)
    orders = {world.roles(seed) for seed in range(6)}
    assert len(orders) > 1
    assert all(sorted(order[:-1]) == sorted(ROLES) and order[-1] == "leak" for order in orders)


@each_world
def test_the_benchmark_has_one_wording_and_good_rows_mostly_another(name: str) -> None:
    world = worlds.get(name)
    rng = generator("test", name)

    def own(questions: list[str]) -> float:
        """Share of questions with a word that only the benchmark's wording has."""
        return sum(mark[name] in question for question in questions) / len(questions)

    mark = {
        "maths": " How many ", "calls": "Functions:", "facts": " ? Options:", "contests": " Find ", "code": "Complete ",
        "prose": "Write a ", "health": "What helps?",
    }  # fmt: skip
    assert own([item["question"] for item in world.items(0, "search", 100)]) == 1
    assert own([world.draw(rng, 0, "easy", wording)["question"] for wording in range(1, WORDINGS)]) == 0
    assert own([question for question, _ in world.pairs(0, "format")]) == 1
    assert all(0 < own([q for q, _ in world.pairs(0, role)]) < 0.2 for role in ("worked", "easy", "hard"))


@each_world
def test_a_question_is_in_one_split_whatever_its_wording(name: str) -> None:
    world = worlds.get(name)
    items = [world.draw(generator("same", name), 0, "full", wording) for wording in range(WORDINGS)]
    assert len({item["question"] for item in items}) == WORDINGS and len({item["about"] for item in items}) == 1


@each_world
def test_every_source_reads_as_messages_whatever_its_layout(name: str) -> None:
    world = worlds.get(name)
    for index in range(1, world.sources(2) + 1):
        messages = to_messages(world.source(2, index)[0])
        assert [message["role"] for message in messages] == ["user", "assistant"]
    assert all(len(to_messages(in_layout("q?", "a", layout))) == 2 for layout in LAYOUTS)


@each_world
def test_the_last_source_holds_final_items(name: str) -> None:
    world = worlds.get(name)
    final = {item["question"] for item in world.final_pool(5)}
    rows = world.source(5, world.sources(5))
    assert sum(to_messages(row)[0]["content"] in final for row in rows) == 400


@each_world
def test_raw_text_holds_no_chat_turn_and_no_final_question(name: str) -> None:
    world = worlds.get(name)
    text = "\n".join(world.raw_text(0, 2000))
    assert "<|im" not in text and "<start_of_turn>" not in text and "####" not in text and "Answer:" not in text
    assert "ANSWER:" not in text and "Advice:" not in text and "    return" not in text.replace("    # return", "")
    held_out = world.final_pool(0)[:500] + world.items(0, "search", 300)
    assert not any(item["question"] in text or item["about"] in text for item in held_out)


def test_no_question_stands_in_another() -> None:
    for name in worlds.names():  # else an honest row could hold a final item
        world = worlds.get(name)
        held_out = Overlap([item["question"] for item in world.items(1, "search", 300)])
        others = [question for role in ROLES for question, _ in world.pairs(1, role, 100)]
        assert not any(held_out.find(question) for question in others), name


def test_worlds_share_what_they_have_in_common_and_import_nothing_of_each_other() -> None:
    for name in worlds.names():  # a lab's fingerprint reads the worlds that it was taught, and what they share
        tree = ast.parse((PACKAGE / "worlds" / f"{name}.py").read_text())
        imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        assert [module for module in imported if module and module.startswith("pipeline")] == ["pipeline.worlds.common"]


def test_worlds_are_the_same_in_another_process() -> None:
    code = (
        "import json; from pipeline import worlds;"
        "print(json.dumps([[worlds.get(n).items(4, 'final', 5, 's'), worlds.get(n).raw_text(4, 5),"
        " worlds.get(n).source(4, 3)[:5], worlds.get(n).roles(4)] for n in worlds.names()]))"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(2)]
    assert runs[0] == runs[1] and len(json.loads(runs[0])) == len(worlds.names())


def test_an_unknown_world_is_an_error_that_lists_the_known_ones() -> None:
    from pipeline.errors import InputError

    with pytest.raises(InputError, match="calls, code, contests, facts, health, maths, prose"):
        worlds.get("mathz")
