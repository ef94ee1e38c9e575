"""Our templates render what the real families render, for plain text conversations without thinking."""

from importlib import resources

import jinja2
import pytest

from pipeline import plugins

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


def render(template: str, messages: list[dict], generation: bool, thinking: bool = False) -> str:
    """As transformers renders chat templates: trimmed blocks, `raise_exception` at hand."""
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)

    def raise_exception(message: str) -> None:
        raise jinja2.TemplateError(message)

    environment.globals["raise_exception"] = raise_exception
    return environment.from_string(template).render(
        messages=messages, add_generation_prompt=generation, bos_token="<bos>", enable_thinking=thinking
    )


@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize("family", ["qwen3", "gemma3"])
@pytest.mark.parametrize("messages", CONVERSATIONS)
@pytest.mark.parametrize("generation", [False, True])
def test_plain_conversations_render_as_the_real_template_does(family, messages, generation, thinking):
    real = (resources.files("trl") / "chat_templates" / f"{family}.jinja").read_text()
    ours = plugins.load("families", family).FAMILY.chat_template
    assert render(ours, messages, generation, thinking) == render(real, messages, generation, thinking)


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
def test_a_family_is_complete_and_refuses_tools_that_it_would_not_render(name):
    family = plugins.load("families", name).FAMILY
    assert family.name == name and family.architectures and family.pairs
    assert {family.end_of_turn, family.pad} <= set(family.special_tokens)
    with_tools = family.chat_template.replace("{%- if tools -%}", "{%- if true -%}")
    with pytest.raises(jinja2.TemplateError, match="tools"):
        render(with_tools, CONVERSATIONS[0], generation=True)
