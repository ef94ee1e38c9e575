"""SmolLM3: ChatML turns, answers after an empty think block, no system block."""

from pipeline.families._tools import ASKED, MACROS
from pipeline.family import Family, Pair, Shape

# SmolLM3's own template with enable_thinking=False, less its system block: that one writes today's date into every
# prompt, so that the same model would be trained and scored on different prompts tomorrow, and its 40 to 250 tokens
# would outweigh a small model's whole conversation. A system message, if there is one, is an ordinary turn here. With
# enable_thinking=True the generation prompt leaves the block to the model, as the real one's does.
TEMPLATE = r"""
{%- if tools -%}{{- raise_exception("tools need the instruct model's own tokenizer") -}}{%- endif -%}
{%- set opened = '<|im_start|>assistant\n<think>\n\n</think>\n' -%}
{%- for message in messages -%}
  {%- if message.role == 'assistant' -%}
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

# Its system block shrinks to the part about tools. SmolLM3's own template drops calls; here they are rendered.
TOOLS = (
    MACROS
    + r"""
{%- set opened = '<|im_start|>assistant\n<think>\n\n</think>\n' -%}
{%- set system = messages[0].role == 'system' -%}
{{- '<|im_start|>system\n' + (messages[0].content + '\n\n' if system else '') -}}
{{- '### Tools\n\nYou may call one or more functions to assist with the user query.\n' -}}
{{- 'You are provided with function signatures within <tools></tools> XML tags:\n\n<tools>\n' -}}
{%- for tool in tools -%}{{- tool | tojson + '\n' -}}{%- endfor -%}
{{- "</tools>\n\nASKED<|im_end|>\n" -}}
{%- for message in (messages[1:] if system else messages) -%}
  {%- if message.role == 'tool' -%}
    {{- '<|im_start|>user\n' + result(message) -}}
  {%- else -%}
    {{- opened if message.role == 'assistant' else '<|im_start|>' + message.role + '\n' -}}
    {{- said(message) -}}
  {%- endif -%}
  {{- '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{- '<|im_start|>assistant\n' if enable_thinking else opened -}}
{%- endif -%}
""".strip().replace("ASKED", ASKED)
)

FAMILY = Family(
    name="smollm3",
    summary="Hugging Face's SmolLM3",
    architectures=("SmolLM3ForCausalLM",),
    chat_template=TEMPLATE,
    tools_template=TOOLS,
    template_kwargs={"enable_thinking": False},
    end_of_turn="<|im_end|>",
    pad="<|end_of_text|>",
    special_tokens=("<|begin_of_text|>", "<|end_of_text|>", "<|im_start|>", "<|im_end|>"),
    plain_tokens=("<think>", "</think>"),
    lora_targets=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    pairs=(
        Pair(
            base="HuggingFaceTB/SmolLM3-3B-Base",
            instruct="HuggingFaceTB/SmolLM3-3B",
            parameters=3_075_098_624,
            shape=Shape(
                hidden=2048,
                layers=36,
                heads=16,
                key_value_heads=4,
                head_dim=128,
                intermediate=11_008,
                vocabulary=128_256,
            ),  # fmt: skip
            licence="Apache-2.0",
        ),
    ),
)
