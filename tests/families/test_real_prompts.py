"""Real benchmark items in the real tokenizers: one bos or none, and room for the longest answer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline import benchmarks
from pipeline.data import to_messages
from pipeline.engines.hf import HfEngine
from pipeline.paths import read_jsonl
from pipeline.scorers.harness import score
from pipeline.set_items import utils
from pipeline.training_plan import why_not
from pipeline.training_rows import tokenise
from pipeline.types import Completion, ItemsKey, Request
from tests import real_models
from tests.answers.test_real_items import DATA
from tests.real_models import FAMILIES

# positions of the smallest pair's base: max_position_embeddings of Qwen3-0.6B-Base, SmolLM3-3B-Base, gemma-3-1b-pt
CONTEXT = {"qwen3": 32_768, "smollm3": 65_536, "gemma3": 32_768}


@pytest.fixture(autouse=True)
def copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The copies of the data sets that the user names, or those beside the project."""
    monkeypatch.setenv("POSTTRAIN_DATA_ROOT", os.environ.get("POSTTRAIN_DATA_ROOT") or str(DATA))


def copy_of(name: str) -> Path:
    """The local copy of a data set's file."""
    path = Path(os.environ["POSTTRAIN_DATA_ROOT"], name)
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    return path


@pytest.fixture(scope="module", params=FAMILIES)
def engine(request: pytest.FixtureRequest) -> HfEngine:
    """A tiny model with a full vocabulary and its tokenizer."""
    return real_models.engine(request.param)


def check(engine: HfEngine, requests: Sequence[Request], context: int) -> None:
    """One bos or none, and the longest prompt and answer within the context."""
    found = engine._encode(requests)
    assert max(map(len, found)) + requests[0].max_tokens <= context
    if engine.family.bos is not None:
        bos = engine.tokenizer.convert_tokens_to_ids(engine.family.bos)
        assert all(ids[0] == bos and ids.count(bos) == 1 for ids in found)
    elif requests[0].messages is None:
        plain = engine.tokenizer([request.text for request in requests], add_special_tokens=False)["input_ids"]
        assert found == plain
    else:
        assert {engine.tokenizer.convert_ids_to_tokens(ids[0]) for ids in found} == {"<|im_start|>"}


class Listener:
    """An engine that keeps what it is asked."""

    def generate(self, requests: Sequence[Request]) -> list[list[Completion]]:
        self.asked = list(requests)
        return [[Completion(text="ANSWER: 7", stopped=True, tokens=3)] for _ in requests]


@pytest.mark.parametrize("few_shot", [0, 10])
def test_gsm8k_as_chats_and_after_ten_examples(engine, few_shot):
    copy_of("gsm8k/test.jsonl")
    benchmark = benchmarks.load_benchmark("gsm8k")
    items = benchmarks.items(benchmark, "final", ItemsKey(), 200 if not few_shot else 20)
    shots = benchmarks.items(benchmark, "fewshot", ItemsKey(), few_shot) if few_shot else []
    listener = Listener()
    score(listener, benchmark, items, few_shot, shots)
    assert len(listener.asked) == len(items) and {request.max_tokens for request in listener.asked} == {4000}
    check(engine, listener.asked, CONTEXT[engine.family.name])


def test_humaneval_as_chats(engine):
    copy_of("humaneval/HumanEval.jsonl.gz")
    benchmark = benchmarks.load_benchmark("humaneval")
    items = [*benchmarks.items(benchmark, "final", ItemsKey()), *benchmarks.items(benchmark, "search", ItemsKey())]
    task = utils(benchmark.folder)
    asked = [({"role": "user", "content": task.question(item)},) for item in items]
    assert len(asked) > 140
    check(
        engine, [Request(messages=each, max_tokens=benchmark.max_tokens) for each in asked], CONTEXT[engine.family.name]
    )
    # indented code comes back as it went in
    for each, ids in zip(asked, engine._encode([Request(messages=each) for each in asked]), strict=True):
        assert each[0]["content"] in engine.tokenizer.decode(ids)


@pytest.mark.parametrize("part", ["simple_python", "parallel_multiple"])
def test_functions_of_bfcl_as_tools_and_a_gold_call_as_answer(engine, part):
    found = read_jsonl(copy_of(f"bfcl/BFCL_v4_{part}.jsonl"))
    benchmark = benchmarks.load_benchmark("bfcl")
    tool = utils(benchmark.folder).tool
    asked = [
        Request(messages=tuple(row["question"][0]), tools=tuple(map(tool, row["function"])), max_tokens=16_000)
        for row in found
    ]
    check(engine, asked, CONTEXT[engine.family.name])
    prompts = engine._encode(asked)
    for row, ids in zip(found, prompts, strict=True):
        text = engine.tokenizer.decode(ids)
        assert all(f'"name": "{function["name"]}"' in text for function in row["function"])
    trained = [_with_call(request) for request in asked[:50]]
    tokens = tokenise(trained, engine.tokenizer, engine.family)
    for number, prompt in enumerate(prompts[:50]):
        ids, labels = tokens.row(number, answers_only=True)
        assert ids[: len(prompt)].tolist() == prompt and (labels[: len(prompt)] == -100).all()
        assert engine.tokenizer.decode(labels[len(prompt) :]).startswith('<tool_call>\n{"name": ')


def _with_call(request: Request) -> dict[str, Any]:
    call = {"type": "function", "function": {"name": request.tools[0]["function"]["name"], "arguments": {"x": [1.5]}}}
    answer = {"role": "assistant", "content": "", "tool_calls": [call]}
    return {"messages": [*(request.messages or ()), answer], "tools": list(request.tools)}


def test_every_solution_of_gsm8k_can_be_trained_at_the_recipes_length(engine):
    tokenizer = engine.tokenizer
    found = [{"messages": to_messages(row)} for row in read_jsonl(copy_of("gsm8k/train.jsonl"))[:1000]]
    tokens = tokenise(found, tokenizer, engine.family)
    left_out = {why: int(mask.sum()) for why, mask in why_not(tokens, found, 2048, True, engine.rows).items()}
    assert not any(left_out.values())
    assert (
        tokens.answers[tokens.ends[1:] - 1].all() and (tokens.ids[tokens.ends[1:] - 1] == tokenizer.eos_token_id).all()
    )


@pytest.mark.real("gemma3")
def test_conversations_of_healthbench_alternate_as_the_strictest_template_wants_them():
    copy_of("healthbench/healthbench.jsonl")
    benchmark = benchmarks.load_benchmark("healthbench")
    engine = real_models.engine("gemma3")
    items = [item for split in ("search", "final") for item in benchmarks.items(benchmark, split, ItemsKey())]
    check(engine, [Request(messages=tuple(item["messages"]), max_tokens=4000) for item in items], CONTEXT["gemma3"])
