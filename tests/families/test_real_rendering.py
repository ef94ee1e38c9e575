"""With the families' real tokenizers, training reads the tokens that evaluation reads, and learns answers only."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.chat import prepare, render, template_of
from pipeline.engines.hf import HfEngine
from pipeline.errors import DataError
from pipeline.training_rows import tokenise
from pipeline.types import Request
from tests import real_models, tiny_models
from tests.real_models import FAMILIES


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def said(text: str, *calls: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **({"tool_calls": list(calls)} if calls else {})}


TOOL = {
    "type": "function",
    "function": {
        "name": "geo.area",
        "description": "Área of a <shape>\n\n- in m²",
        "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
    },
}
CALL = {"type": "function", "function": {"name": "geo.area", "arguments": {"n": 3, "at": ["é", "\"'"]}}}
RESULT = {"role": "tool", "content": '{"area": 9}'}
SYSTEM = {"role": "system", "content": "Be brief."}
CODE = "```python\ndef f(x):\n\treturn x  ** 2\n```\n"

TALKS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "plain": ([user("Two and two?"), said("Four.")], []),
    "code": ([user(CODE + "What does it do?"), said(f"It squares:\n\n{CODE}\n12345678 ✓ 日本 👍🏽")], []),
    "multi-turn": ([user("One?"), said("1."), user("  Two?\n"), said("2.\n\nReally."), user("?"), said("Yes")], []),
    "system": ([SYSTEM, user("Two and two?"), said("Four.")], []),
    "a call": ([SYSTEM, user("The area of 3?"), said("", CALL)], [TOOL, TOOL]),
    "words and calls": ([user("The areas?"), said("I ask.", CALL, CALL["function"])], [TOOL]),
    "a tool's result": ([user("The area?"), said("", CALL), RESULT, said("It is 9.")], [TOOL]),
    "a question after tools": ([user("Area?"), said("", CALL), RESULT, said("9."), user("OK?"), said("Yes.")], [TOOL]),
}  # fmt: skip


@pytest.fixture(scope="module", params=FAMILIES)
def real(request: pytest.FixtureRequest) -> HfEngine:
    """A tiny model with a full vocabulary, and its tokenizer as the release has it."""
    return real_models.engine(request.param)


@pytest.fixture(scope="module", params=["its own template", "the family's"])
def engine(real: HfEngine, request: pytest.FixtureRequest) -> HfEngine:
    """The same with either template: Gemma 3's bases bring none."""
    if request.param == "its own template":
        return real
    tokenizer = copy.copy(real.tokenizer)  # the wrapper: the vocabulary below it is shared
    tokenizer.chat_template = None
    return HfEngine(real.model, prepare(tokenizer, real.family), real.family)


def trained(engine: HfEngine, messages: list[dict[str, Any]], tools: Any = ()) -> tuple[list[int], list[int]]:
    """A row's ids, and its labels."""
    row = {"messages": messages, **({"tools": list(tools)} if tools else {})}
    ids, labels = tokenise([row], engine.tokenizer, engine.family).row(0, answers_only=True)
    return ids.tolist(), labels.tolist()


def asked(engine: HfEngine, messages: list[dict[str, Any]], tools: Any = ()) -> list[int]:
    """The prompt of an evaluation, as the engine gives it to the model."""
    return engine._encode([Request(messages=tuple(messages), tools=tuple(tools))])[0]


def spoken(engine: HfEngine, messages: list[dict[str, Any]], tools: Any) -> str:
    """The last answer as the template writes it, its turn's end included."""
    before = render(engine.tokenizer, engine.family, messages[:-1], True, tools)
    whole = render(engine.tokenizer, engine.family, messages, False, tools)
    assert whole.startswith(before)
    return whole[len(before) :].removesuffix("\n")


@pytest.mark.parametrize(
    ("name", "entries", "end", "pad", "bos"),
    [
        pytest.param("qwen3", 151_669, 151_645, 151_643, None, marks=pytest.mark.real("qwen3")),
        pytest.param("gemma3", 262_145, 106, 0, 2, marks=pytest.mark.real("gemma3")),
        ("smollm3", 128_256, None, None, None),
    ],
)
def test_the_vocabulary_is_the_real_one_and_the_family_finds_its_tokens_in_it(name, entries, end, pad, bos):
    tokenizer, family = real_models.tokenizer(name), tiny_models.family(name)
    assert len(tokenizer) == entries
    if end is not None:
        assert (tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.bos_token_id) == (end, pad, bos)
    assert tokenizer.convert_ids_to_tokens(tokenizer.eos_token_id) == family.end_of_turn


@pytest.mark.parametrize("talk", TALKS)
def test_training_reads_the_tokens_that_evaluation_reads_and_learns_the_answer_and_its_end(engine, talk):
    messages, tools = TALKS[talk]
    ids, labels = trained(engine, messages, tools)
    prompt = asked(engine, messages[:-1], tools)
    answer = engine.tokenizer(spoken(engine, messages, tools), add_special_tokens=False)["input_ids"]
    assert ids == prompt + answer
    assert labels[len(prompt) :] == answer and answer[-1] == engine.tokenizer.eos_token_id
    # the text in one piece has the same tokens: nothing is merged across the seam
    assert ids == engine.tokenizer(engine.tokenizer.decode(ids), add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("talk", TALKS)
def test_every_other_trained_token_is_an_earlier_answers_after_the_prompt_that_asked_for_it(engine, talk):
    messages, tools = TALKS[talk]
    ids, labels = trained(engine, messages, tools)
    learnt = [place for place, label in enumerate(labels) if label >= 0]
    starts = [place for place in learnt if place - 1 not in learnt]
    prompts = [asked(engine, messages[:n], tools) for n, each in enumerate(messages) if each["role"] == "assistant"]
    assert all(ids[:start] in prompts for start in starts)
    ends = [place for place in learnt if place + 1 not in learnt]
    assert all(ids[end] == engine.tokenizer.eos_token_id for end in ends)
    assert len(starts) == len(ends) == (1 if engine.family.name == "qwen3" else len(prompts))


@pytest.mark.parametrize("talk", TALKS)
def test_text_begins_with_one_bos_or_none_in_training_and_in_evaluation(engine, talk):
    messages, tools = TALKS[talk]
    chats = [trained(engine, messages, tools)[0], asked(engine, messages[:-1], tools)]
    raw = engine._encode([Request(text="Question: 2 + 2 =")])[0]
    row = {"messages": [{"role": "text", "content": "Question: 2 + 2 ="}]}
    assert tokenise([row], engine.tokenizer, engine.family).ids.tolist() == raw
    if engine.family.bos is None:
        assert raw == engine.tokenizer("Question: 2 + 2 =", add_special_tokens=False)["input_ids"]
        assert {engine.tokenizer.convert_ids_to_tokens(ids[0]) for ids in chats} == {"<|im_start|>"}
    else:
        bos = engine.tokenizer.convert_tokens_to_ids(engine.family.bos)
        assert all(ids[0] == bos and ids.count(bos) == 1 for ids in (*chats, raw))


@pytest.mark.parametrize("talk", TALKS)
def test_the_prompt_is_what_transformers_itself_makes_of_the_messages(engine, talk):
    messages, tools = TALKS[talk]
    if tools and "tools" not in str(engine.tokenizer.chat_template):
        pytest.skip("its own template leaves tools out: ours shows them")
    made = engine.tokenizer.apply_chat_template(
        messages[:-1], tools=tools or None, add_generation_prompt=True, tokenize=True, **engine.family.template_kwargs
    )
    assert asked(engine, messages[:-1], tools) == made["input_ids"]


@pytest.mark.parametrize("talk", TALKS)
def test_the_familys_template_and_the_real_one_say_the_same(real, talk):
    messages, tools = TALKS[talk]
    ours = copy.copy(real.tokenizer)
    ours.chat_template = template_of(real.family)
    for some, generation in ((messages, False), (messages[:-1], True)):
        assert render(ours, real.family, some, generation, tools) == render(
            real.tokenizer, real.family, some, generation, tools
        )


def test_with_thinking_off_prompts_end_with_the_empty_block_and_thoughts_in_data_are_left_out(engine):
    question, plain = user("Two?"), said("2.")
    thought = said("<think>\nOne and one.\n</think>\n\n2.")
    if engine.family.name == "gemma3":  # it knows no thinking: such text is an answer like any other
        assert trained(engine, [question, thought])[0] != trained(engine, [question, plain])[0]
        return
    assert engine.tokenizer.decode(asked(engine, [question])).rstrip().endswith("<think>\n\n</think>")
    assert trained(engine, [question, thought]) == trained(engine, [question, plain])
    assert asked(engine, [question, thought, question]) == asked(engine, [question, plain, question])
    only = said("<think>\nOne and one.\n</think>")  # nothing is said: nothing to learn, or the words themselves
    learnt = [label for label in trained(engine, [question, only])[1] if label >= 0]
    assert not learnt or "One and one." in engine.tokenizer.decode(learnt)


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="<>|"), max_size=30) | st.sampled_from(
    ["\n", "\n\n", " ", " \n x", "\t", "\r\n", "x\n", "  x", "12 345", "é", "▁", "\u200b"]
)
TEXT = st.lists(WORDS, min_size=1, max_size=4).map("".join).filter(str.strip)


@settings(max_examples=60)
@given(texts=st.lists(TEXT, min_size=2, max_size=6))
def test_whatever_is_said_every_trained_answer_stands_after_the_tokens_of_its_own_prompt(engine, texts):
    turns = [user(text) if number % 2 == 0 else said(text) for number, text in enumerate(texts[: len(texts) // 2 * 2])]
    ids, labels = trained(engine, turns)
    prompts = [asked(engine, turns[:n]) for n in range(1, len(turns), 2)]
    starts = [n for n, label in enumerate(labels) if label >= 0 and labels[n - 1] < 0]
    assert starts and all(ids[:start] in prompts for start in starts)
    assert ids[: len(prompts[-1])] == prompts[-1] and ids[-1] == engine.tokenizer.eos_token_id


@pytest.mark.real("gemma3")
def test_a_conversation_that_the_real_template_refuses_is_one_line_and_no_training_row():
    engine = real_models.engine("gemma3")
    refused = [user("One?"), user("Two?")]
    with pytest.raises(DataError, match=r"refuses the conversation \(Conversation roles must alternate.*\): correct"):
        asked(engine, refused)
    with pytest.raises(DataError, match="^healthbench, item h7: "):
        engine.generate([Request(messages=tuple(refused), benchmark="healthbench", item="h7")])
    rows = [{"messages": [*refused, said("2.")]}, {"messages": [user("Two?"), said("2.")]}]
    assert (tokenise(rows, engine.tokenizer, engine.family).lengths > 0).tolist() == [False, True]


@pytest.mark.real("gemma3")
def test_a_token_that_the_tokenizer_knows_and_the_model_does_not_is_one_line():
    engine = real_models.engine("gemma3")
    assert len(engine.tokenizer) == engine.rows + 1
    with pytest.raises(DataError, match="the prompt holds <image_soft_token>, for which this model has no embedding"):
        engine.generate([Request(messages=(user("What is <image_soft_token>?"),), max_tokens=2)])
