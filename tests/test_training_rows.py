"""Rows become the tokens that evaluation would see, with the answers marked."""

from __future__ import annotations

import copy
import os
from pathlib import Path

import numpy as np
import pytest

from pipeline import training_rows
from pipeline.paths import home
from pipeline.training_rows import Tokens, tokenise, tokens_of
from tests import tiny_models
from tests.tiny_models import FAMILIES

ROW = {"messages": [{"role": "user", "content": "Two and 2?"}, {"role": "assistant", "content": "It is 4."}]}
LONG = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "1."},
        *ROW["messages"],
    ]
}
RAW = {"messages": [{"role": "text", "content": "2 + 2 = 4."}]}


def texts(name: str, tokens: Tokens, index: int) -> tuple[str, str]:
    """A row's text, and the part of it that is trained."""
    tokenizer = tiny_models.tokenizer(name)
    ids, labels = tokens.row(index, answers_only=True)
    return tokenizer.decode(ids), tokenizer.decode(labels[labels >= 0])


@pytest.mark.parametrize("name", FAMILIES)
def test_the_answer_and_its_turns_end_are_trained_after_exactly_the_prompt_of_evaluation(name):
    family, tokenizer = tiny_models.family(name), tiny_models.tokenizer(name)
    tokens = tokenise([ROW, ROW], tokenizer, family)
    prompt = tokenizer.apply_chat_template(ROW["messages"][:1], tokenize=False, add_generation_prompt=True)
    whole, trained = texts(name, tokens, 1)
    assert trained == "It is 4." + family.end_of_turn
    assert whole == prompt + trained
    ids, labels = tokens.row(0, answers_only=True)
    asked = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    assert ids[: len(asked)].tolist() == asked
    assert (labels[: len(asked)] == -100).all() and (labels[len(asked) :] == ids[len(asked) :]).all()


@pytest.mark.parametrize(
    ("name", "trained"), [("qwen3", "It is 4."), ("smollm3", "1.It is 4."), ("gemma3", "1.It is 4.")]
)
def test_of_a_conversation_those_answers_are_trained_that_generation_would_give(name, trained):
    family = tiny_models.family(name)
    tokens = tokenise([LONG], tiny_models.tokenizer(name), family)
    assert texts(name, tokens, 0)[1].replace(family.end_of_turn, "") == trained


@pytest.mark.parametrize("name", ["smollm3", "gemma3"])
def test_an_earlier_answer_that_later_prompts_hold_in_other_tokens_is_not_trained(name):
    family, tokenizer = tiny_models.family(name), copy.deepcopy(tiny_models.tokenizer(name))
    twice = {"messages": [*ROW["messages"], *ROW["messages"]]}
    ids, labels = tokenise([twice], tokenizer, family).row(0, answers_only=True)
    assert tokenizer.decode(labels[labels >= 0]) == 2 * f"It is 4.{family.end_of_turn}"
    tokenizer.add_tokens(["\nIt"])  # a token across the place where an answer begins
    ids, labels = tokenise([twice], tokenizer, family).row(0, answers_only=True)
    prompt = tokenizer.apply_chat_template(twice["messages"][:-1], tokenize=False, add_generation_prompt=True)
    asked = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    assert ids[: len(asked)].tolist() == asked and tokenizer.convert_tokens_to_ids("\nIt") in asked
    assert tokenizer.decode(labels[labels >= 0]) == f"It is 4.{family.end_of_turn}"


@pytest.mark.parametrize("name", FAMILIES)
def test_thoughts_before_an_answer_are_left_out_where_thinking_can_be_turned_off(name):
    family, tokenizer = tiny_models.family(name), tiny_models.tokenizer(name)
    asked = {"role": "user", "content": "Two and 2?"}
    made = [
        {"messages": [asked, {"role": "assistant", "content": content}]}
        for content in ("It is 4.", "<think>\nTwo\n\nand two.\n</think>\n\nIt is 4.", "<think>so</think>", "I <think>.")
    ]
    learnt = [texts(name, tokenise(made, tokenizer, family), row)[1] for row in range(4)]
    assert (learnt[1] == learnt[0]) == (name != "gemma3") and "It is 4." in learnt[1]
    assert learnt[2] == f"<think>so</think>{family.end_of_turn}" and learnt[3] == f"I <think>.{family.end_of_turn}"


def test_a_row_that_the_template_refuses_has_no_tokens():
    tokenizer = copy.deepcopy(tiny_models.tokenizer("gemma3"))
    tokenizer.chat_template = "{{ raise_exception('no') if messages | length > 2 }}" + str(tokenizer.chat_template)
    tokens = tokenise([ROW, LONG, ROW], tokenizer, tiny_models.family("gemma3"))
    assert tokens.lengths[1] == 0 and tokens.lengths[0] == tokens.lengths[2] > 0
    assert equal(tokenise([ROW, ROW], tokenizer, tiny_models.family("gemma3")), Tokens(
        tokens.ids, tokens.answers, tokens.ends[[0, 1, 3]]
    ))  # fmt: skip
    assert tokenise([LONG], tokenizer, tiny_models.family("gemma3")).ids.tolist() == []


@pytest.mark.parametrize("name", FAMILIES)
def test_raw_text_is_trained_whole_and_as_it_is(name):
    tokens = tokenise([ROW, RAW], tiny_models.tokenizer(name), tiny_models.family(name))
    bos = tiny_models.family(name).bos or ""
    assert texts(name, tokens, 1) == (bos + "2 + 2 = 4.", bos + "2 + 2 = 4.")


def test_without_answers_only_the_prompt_is_trained_too():
    tokens = tokenise([ROW], tiny_models.tokenizer("qwen3"), tiny_models.family("qwen3"))
    ids, labels = tokens.row(0, answers_only=False)
    assert (ids == labels).all()


def equal(a: Tokens, b: Tokens) -> bool:
    return all(np.array_equal(getattr(a, field), getattr(b, field)) for field in ("ids", "answers", "ends"))


def test_rows_are_tokenised_once_and_anew_when_anything_that_decides_them_changes(monkeypatch, tmp_path):
    monkeypatch.setenv("POSTTRAIN_HOME", str(tmp_path))
    made = []
    make = training_rows.tokenise
    monkeypatch.setattr(training_rows, "tokenise", lambda *given: made.append(1) or make(*given))
    tokenizer, family = tiny_models.tokenizer("qwen3"), tiny_models.family("qwen3")
    first = tokens_of("a", [ROW, LONG], tokenizer, family)
    assert equal(tokens_of("a", [ROW, LONG], tokenizer, family), first) and len(made) == 1
    tokens_of("a", [LONG, ROW], tokenizer, family)
    assert len(made) == 2
    tokens_of("a", [ROW, LONG], tokenizer, family.model_copy(update={"end_of_turn": "<|endoftext|>"}))
    tokens_of("a", [ROW, LONG], tiny_models.tokenizer("smollm3"), tiny_models.family("smollm3"))
    assert len(made) == 4
    for file in (home() / "tokens").iterdir():
        file.write_bytes(b"damaged")
    assert equal(tokens_of("a", [ROW, LONG], tokenizer, family), first) and len(made) == 5


def test_a_cache_that_cannot_be_written_costs_only_time(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("POSTTRAIN_HOME", str(Path(os.fspath(tmp_path)) / "file"))
    tokens_of("a", [ROW], tiny_models.tokenizer("qwen3"), tiny_models.family("qwen3"))
