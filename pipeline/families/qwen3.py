"""Qwen3: ChatML turns, answers after an empty think block."""

from typing import Any

from pipeline.families._tools import ASKED, MACROS
from pipeline.family import Family, Pair, Shape

# What Qwen's own template renders with enable_thinking=False: the block that says "nothing to think about" stands in
# the generation prompt and before the last answer, and is left out of earlier answers. With enable_thinking=True the
# generation prompt leaves it to the model.
TEMPLATE = r"""
{%- if tools -%}{{- raise_exception("tools need the instruct model's own tokenizer") -}}{%- endif -%}
{%- set opened = '<|im_start|>assistant\n<think>\n\n</think>\n\n' -%}
{%- for message in messages -%}
  {%- if message.role == 'assistant' and loop.last -%}
    {{- opened + message.content.lstrip('\n') -}}
  {%- else -%}
    {{- '<|im_start|>' + message.role + '\n' + message.content -}}
  {%- endif -%}
  {{- '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{- '<|im_start|>assistant\n' if enable_thinking else opened -}}
{%- endif -%}
""".strip()

# Its rendering of tools: schemas in the system turn, results in user turns.
TOOLS = (
    MACROS
    + r"""
{%- set opened = '<|im_start|>assistant\n<think>\n\n</think>\n\n' -%}
{%- set system = messages[0].role == 'system' -%}
{{- '<|im_start|>system\n' + (messages[0].content + '\n\n' if system else '') -}}
{{- '# Tools\n\nYou may call one or more functions to assist with the user query.\n\n' -}}
{{- 'You are provided with function signatures within <tools></tools> XML tags:\n<tools>' -}}
{%- for tool in tools -%}{{- '\n' + tool | tojson -}}{%- endfor -%}
{{- "\n</tools>\n\nASKED<|im_end|>\n" -}}
{%- for message in (messages[1:] if system else messages) -%}
  {%- if message.role == 'tool' -%}
    {{- '<|im_start|>user' if loop.first or loop.previtem.role != 'tool' -}}
    {{- '\n' + result(message) -}}
    {{- '<|im_end|>\n' if loop.last or loop.nextitem.role != 'tool' -}}
  {%- else -%}
    {{- opened if message.role == 'assistant' and loop.last else '<|im_start|>' + message.role + '\n' -}}
    {{- said(message) + '<|im_end|>\n' -}}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{- '<|im_start|>assistant\n' if enable_thinking else opened -}}
{%- endif -%}
""".strip().replace("ASKED", ASKED)
)


def _pair(size: str, parameters: int, **shape: Any) -> Pair:
    """A size of Qwen3, of which all share licence, head width and vocabulary."""
    return Pair(
        base=f"Qwen/Qwen3-{size}-Base",
        instruct=f"Qwen/Qwen3-{size}",
        parameters=parameters,
        shape=Shape(key_value_heads=8, head_dim=128, vocabulary=151_936, **shape),
        licence="Apache-2.0",
    )


FAMILY = Family(
    name="qwen3",
    summary="Qwen3 dense models",
    architectures=("Qwen3ForCausalLM",),
    chat_template=TEMPLATE,
    tools_template=TOOLS,
    template_kwargs={"enable_thinking": False},
    end_of_turn="<|im_end|>",
    pad="<|endoftext|>",
    special_tokens=("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    plain_tokens=("<think>", "</think>"),
    lora_targets=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    pairs=(
        _pair("0.6B", 596_049_920, hidden=1024, layers=28, heads=16, intermediate=3072),
        _pair("1.7B", 1_720_574_976, hidden=2048, layers=28, heads=16, intermediate=6144),
        _pair("4B", 4_022_468_096, hidden=2560, layers=36, heads=32, intermediate=9728),
        _pair("8B", 8_190_735_360, hidden=4096, layers=36, heads=32, intermediate=12_288, tied=False),
    ),
)
