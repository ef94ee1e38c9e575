"""Gemma 3: a leading <bos>, turns of user and model, a system message before the first user's words."""

from pipeline.families._tools import ASKED, MACROS
from pipeline.types import Family

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
        ("google/gemma-3-1b-pt", "google/gemma-3-1b-it"),
        ("google/gemma-3-4b-pt", "google/gemma-3-4b-it"),
        ("google/gemma-3-12b-pt", "google/gemma-3-12b-it"),
    ),
)
