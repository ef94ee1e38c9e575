"""Qwen3: ChatML turns, answers after an empty think block."""

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

FAMILY = Family(
    name="qwen3",
    summary="Qwen3 dense models",
    architectures=("Qwen3ForCausalLM",),
    chat_template=TEMPLATE,
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
