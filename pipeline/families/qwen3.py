"""Qwen3: ChatML turns, answers after an empty think block."""

from pipeline.families._tools import ASKED, MACROS
from pipeline.types import Family

# What Qwen's own template renders with enable_thinking=False: the block that says "nothing to think about" stands in
# the generation prompt and before the last answer, and is left out of earlier answers.
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
{%- if add_generation_prompt -%}{{- opened -}}{%- endif -%}
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
{%- if add_generation_prompt -%}{{- opened -}}{%- endif -%}
""".strip().replace("ASKED", ASKED)
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
        ("Qwen/Qwen3-0.6B-Base", "Qwen/Qwen3-0.6B"),
        ("Qwen/Qwen3-1.7B-Base", "Qwen/Qwen3-1.7B"),
        ("Qwen/Qwen3-4B-Base", "Qwen/Qwen3-4B"),
        ("Qwen/Qwen3-8B-Base", "Qwen/Qwen3-8B"),
    ),
)
