"""Our templates render what the real families render, for plain text conversations without thinking."""

import json
from importlib import resources

import jinja2
import pytest

from pipeline import plugins
from pipeline.chat import template_of

CONVERSATIONS = [
    [{"role": "user", "content": "Two and two?"}],
    [{"role": "user", "content": "Two and two?"}, {"role": "assistant", "content": "Four."}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Two and two?"}],
    [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello {{ x }} <b>"},
        {"role": "assistant", "content": "Hi\n\nthere."},
        {"role": "user", "content": "And three?\n"},
    ],
    [
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Two?"},
        {"role": "assistant", "content": "\nNo."},
    ],
]


def render(
    template: str, messages: list[dict], generation: bool, tools: list[dict] | None = None, thinking: bool = False
) -> str:
    """As transformers renders chat templates: trimmed blocks, `raise_exception` at hand."""
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)

    def raise_exception(message: str) -> None:
        raise jinja2.TemplateError(message)

    environment.globals["raise_exception"] = raise_exception
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.from_string(template).render(
        messages=messages, tools=tools, add_generation_prompt=generation, bos_token="<bos>", enable_thinking=thinking
    )


@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize("family", ["qwen3", "gemma3"])
@pytest.mark.parametrize("messages", CONVERSATIONS)
@pytest.mark.parametrize("generation", [False, True])
def test_plain_conversations_render_as_the_real_template_does(family, messages, generation, thinking):
    real = (resources.files("trl") / "chat_templates" / f"{family}.jinja").read_text()
    ours = plugins.load("families", family).FAMILY.chat_template
    assert render(ours, messages, generation, None, thinking) == render(real, messages, generation, None, thinking)


@pytest.mark.parametrize("family", ["qwen3", "smollm3"])
def test_with_thinking_on_the_model_opens_the_block_itself(family):
    ours = plugins.load("families", family).FAMILY.chat_template
    assert render(ours, CONVERSATIONS[0], generation=True, thinking=True).endswith(
        "<|im_end|>\n<|im_start|>assistant\n"
    )


def test_smollm3_renders_its_no_think_form_without_a_system_block():
    ours = plugins.load("families", "smollm3").FAMILY.chat_template
    assert render(ours, CONVERSATIONS[1], generation=False) == (
        "<|im_start|>user\nTwo and two?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\nFour.<|im_end|>\n"
    )
    assert render(ours, CONVERSATIONS[0], generation=True) == (
        "<|im_start|>user\nTwo and two?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n"
    )


@pytest.mark.parametrize("name", plugins.names("families"))
def test_what_generation_sees_is_what_training_saw_before_the_answer(name):
    family = plugins.load("families", name).FAMILY
    question, answer = CONVERSATIONS[1]
    prompt = render(family.chat_template, [question], generation=True)
    whole = render(family.chat_template, [question, answer], generation=False)
    assert whole == prompt + answer["content"] + family.end_of_turn + "\n"


@pytest.mark.parametrize("name", plugins.names("families"))
def test_a_family_is_complete(name):
    family = plugins.load("families", name).FAMILY
    assert family.name == name and family.architectures and family.pairs
    assert {family.end_of_turn, family.pad} <= set(family.special_tokens)


# ---------------------------------------------------------------- tools

TOOL = {"type": "function", "function": {"name": "sum", "parameters": {"type": "object", "properties": {"é": {}}}}}
SHOWN = '{"type": "function", "function": {"name": "sum", "parameters": {"type": "object", "properties": {"é": {}}}}}'
ASKED = (
    "For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML "
    'tags:\n<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
)
CALL = {"name": "sum", "arguments": {"a": 2}}
WRAPPED = {"type": "function", "function": CALL}
TALKS = [
    *CONVERSATIONS,
    [CONVERSATIONS[0][0], {"role": "assistant", "content": "", "tool_calls": [WRAPPED]}],
    [
        *CONVERSATIONS[2],
        {"role": "assistant", "content": "I add.", "tool_calls": [CALL, WRAPPED]},
        {"role": "tool", "content": "4"},
        {"role": "tool", "content": "5"},
        {"role": "assistant", "content": "Four."},
    ],
]


@pytest.mark.parametrize("messages", TALKS)
@pytest.mark.parametrize("generation", [False, True])
def test_qwen3_renders_tools_as_the_real_template_does(messages, generation):
    real = (resources.files("trl") / "chat_templates" / "qwen3.jinja").read_text()
    ours = template_of(plugins.load("families", "qwen3").FAMILY)
    assert render(ours, messages, generation, [TOOL, TOOL]) == render(real, messages, generation, [TOOL, TOOL])


def test_smollm3_renders_tools_in_a_system_turn():
    ours = template_of(plugins.load("families", "smollm3").FAMILY)
    block = (
        "### Tools\n\nYou may call one or more functions to assist with the user query.\nYou are provided with "
        f"function signatures within <tools></tools> XML tags:\n\n<tools>\n{SHOWN}\n</tools>\n\n{ASKED}<|im_end|>\n"
    )
    opened = "<|im_start|>assistant\n<think>\n\n</think>\n"
    asked = "<|im_start|>user\nTwo and two?<|im_end|>\n"
    assert render(ours, TALKS[0], True, [TOOL]) == f"<|im_start|>system\n{block}{asked}{opened}"
    assert render(ours, TALKS[2], True, [TOOL]) == f"<|im_start|>system\nBe brief.\n\n{block}{asked}{opened}"
    assert render(ours, TALKS[-1], False, [TOOL]) == (
        f"<|im_start|>system\nBe brief.\n\n{block}{asked}{opened}I add.\n"
        '<tool_call>\n{"name": "sum", "arguments": {"a": 2}}\n</tool_call>\n'
        '<tool_call>\n{"name": "sum", "arguments": {"a": 2}}\n</tool_call><|im_end|>\n'
        "<|im_start|>user\n<tool_response>\n4\n</tool_response><|im_end|>\n"
        f"<|im_start|>user\n<tool_response>\n5\n</tool_response><|im_end|>\n{opened}Four.<|im_end|>\n"
    )


def test_gemma3_renders_tools_before_the_first_users_words():
    ours = template_of(plugins.load("families", "gemma3").FAMILY)
    block = (
        "You may call one or more functions to assist with the user query.\nYou are provided with function signatures "
        f"within <tools></tools> XML tags:\n<tools>\n{SHOWN}\n</tools>\n\n{ASKED}\n\n"
    )
    user, model, end = "<start_of_turn>user\n", "<start_of_turn>model\n", "<end_of_turn>\n"
    assert render(ours, TALKS[0], True, [TOOL]) == f"<bos>{user}{block}Two and two?{end}{model}"
    assert render(ours, TALKS[2], True, [TOOL]) == f"<bos>{user}Be brief.\n\n{block}Two and two?{end}{model}"
    assert render(ours, TALKS[-2], False, [TOOL]) == (
        f"<bos>{user}{block}Two and two?{end}{model}"
        f'<tool_call>\n{{"name": "sum", "arguments": {{"a": 2}}}}\n</tool_call>{end}'
    )
    assert f"{end}{user}<tool_response>\n4\n</tool_response>{end}" in render(ours, TALKS[-1], False, [TOOL])


@pytest.mark.parametrize("name", plugins.names("families"))
def test_without_tools_nothing_changes_and_with_them_training_sees_what_generation_sees(name):
    family = plugins.load("families", name).FAMILY
    for messages in CONVERSATIONS:
        for generation in (False, True):
            plain = render(family.chat_template, messages, generation)
            assert render(template_of(family), messages, generation) == plain
    question, answer = CONVERSATIONS[1]
    prompt = render(template_of(family), [question], True, [TOOL])
    whole = render(template_of(family), [question, answer], False, [TOOL])
    assert whole == prompt + answer["content"] + family.end_of_turn + "\n"
