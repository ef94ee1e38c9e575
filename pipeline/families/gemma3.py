"""Gemma 3: a leading <bos>, turns of user and model, a system message before the first user's words."""

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

FAMILY = Family(
    name="gemma3",
    summary="Google's Gemma 3",
    # from 4B up the checkpoints are conditional (text and images); their text part is tuned
    architectures=("Gemma3ForCausalLM", "Gemma3ForConditionalGeneration"),
    chat_template=TEMPLATE,
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
