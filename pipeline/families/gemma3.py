"""Gemma 3: a leading <bos>, turns of user and model, a system message before the first user's words."""

from typing import Any

from pipeline.families._tools import ASKED, MACROS
from pipeline.family import Family, Pair, Shape

# The template writes <bos> itself: rendered text is tokenised without special tokens, or there would be two.
TEMPLATE = r"""
{%- if tools -%}{{- raise_exception("tools need the instruct model's own tokenizer") -}}{%- endif -%}
{%- set system = messages[0].role == 'system' -%}
{{- bos_token -}}
{%- for message in (messages[1:] if system else messages) -%}
  {{- '<start_of_turn>' + ('model' if message.role == 'assistant' else message.role) + '\n' -}}
  {%- if system and loop.first -%}{{- messages[0].content + '\n\n' -}}{%- endif -%}
  {{- message.content | trim -}}{{- '<end_of_turn>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<start_of_turn>model\n' -}}{%- endif -%}
""".strip()

# Gemma 3 has no turn for tools and its own template leaves them out: schemas stand before the first user's words, as in
# PostTrainBench's gemma3_tool_calling, and results are the user's.
TOOLS = (
    MACROS
    + r"""
{%- set system = messages[0].role == 'system' -%}
{{- bos_token -}}
{%- for message in (messages[1:] if system else messages) -%}
  {%- set role = {'assistant': 'model', 'tool': 'user'}.get(message.role, message.role) -%}
  {{- '<start_of_turn>' + role + '\n' -}}
  {%- if loop.first -%}
    {{- messages[0].content + '\n\n' if system -}}
    {{- 'You may call one or more functions to assist with the user query.\n' -}}
    {{- 'You are provided with function signatures within <tools></tools> XML tags:\n<tools>\n' -}}
    {%- for tool in tools -%}{{- tool | tojson + '\n' -}}{%- endfor -%}
    {{- "</tools>\n\nASKED\n\n" -}}
  {%- endif -%}
  {{- (result(message) if message.role == 'tool' else said(message)) | trim + '<end_of_turn>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<start_of_turn>model\n' -}}{%- endif -%}
""".strip().replace("ASKED", ASKED)
)


def _pair(size: str, parameters: int, vocabulary: int = 262_208, **shape: Any) -> Pair:
    """A size of Gemma 3; the vocabulary is wider where images have a token."""
    return Pair(
        base=f"google/gemma-3-{size}-pt",
        instruct=f"google/gemma-3-{size}-it",
        parameters=parameters,
        shape=Shape(head_dim=256, vocabulary=vocabulary, **shape),
        licence="Gemma terms of use",
        gated=True,
    )


FAMILY = Family(
    name="gemma3",
    summary="Google's Gemma 3",
    # from 4B up the checkpoints are conditional (text and images); their text part is tuned
    architectures=("Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"),
    chat_template=TEMPLATE,
    tools_template=TOOLS,
    end_of_turn="<end_of_turn>",
    pad="<pad>",
    bos="<bos>",
    special_tokens=("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"),
    lora_targets=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    lora_exclude=r".*(vision_tower|multi_modal_projector).*",
    pairs=(
        _pair(
            "1b", 999_885_952, hidden=1152, layers=26, heads=4, key_value_heads=1, intermediate=6912, vocabulary=262_144
        ),
        _pair("4b", 4_300_079_472, hidden=2560, layers=34, heads=8, key_value_heads=4, intermediate=10_240),
        _pair("12b", 12_187_325_040, hidden=3840, layers=48, heads=16, key_value_heads=8, intermediate=15_360),
    ),  # fmt: skip
)
