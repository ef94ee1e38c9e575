"""A family derived from a model's own files: for every causal language model that no module of families/ describes.

Its chat template says, rendered, how a turn ends and what thinking changes; its tokenizer, how text is padded and
begun. An adapter's targets are left open: they are the linear layers found on the loaded model.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.family import Family
from pipeline.paths import read_json

NAME = "auto"
TOKENIZER = "tokenizer.json"
LOOKED_AT = ("config.json", "generation_config.json", TOKENIZER, "tokenizer_config.json", "chat_template.jinja")
THINKING = ("enable_thinking", "thinking")  # what templates call the switch
# no adapter belongs on what sees or hears: only text is trained on
SENSES = r".*(vision|visual|image|audio|speech|multi_modal).*"
# A template that writes today's date gets one that stays: else the same prompt would be another one tomorrow.
STILL = "{%- macro strftime_now(format) -%}1 January 2025{%- endmacro -%}"
ASKED = {"role": "user", "content": "zqx one"}
TOLD = {"role": "assistant", "content": "zqx two"}


class NoTemplate(InputError):
    """The tokenizer brings no chat template: another model's may serve."""


def derive(folder: str | Path, tokenizer_of: str | Path | None = None, template_of: str | Path | None = None) -> Family:
    """The family of the whole model in `folder`, from its files alone.

    `tokenizer_of` names a folder whose tokenizer counts instead (an adapter's), `template_of` one whose chat template
    does (an instruct-tuned sibling's). Raises NoTemplate if there is no template, InputError for whatever else is
    missing: one line that names it.
    """
    places = [str(place or folder) for place in (folder, tokenizer_of, template_of or tokenizer_of)]
    return _derived(*places, tuple(_stamp(Path(place, name)) for place in places for name in LOOKED_AT))


def _stamp(path: Path) -> tuple[int, int] | None:
    found = path.stat() if path.is_file() else None
    return (found.st_size, found.st_mtime_ns) if found else None


@lru_cache(maxsize=16)
def _derived(folder: str, tokenizer_of: str, template_of: str, stamps: tuple[Any, ...]) -> Family:
    """`stamps` are the files' sizes and times: what was derived from others does not count."""
    architectures = causal_architectures(folder, read_json(Path(folder) / "config.json"))
    tokenizer = load(tokenizer_of)
    folder = tokenizer_of  # what is missing from here on is missing there
    template = template_text(tokenizer if template_of == tokenizer_of else load(template_of))
    if template is None:
        raise NoTemplate(
            f"{template_of}: the tokenizer has no chat template: name an instruct-tuned sibling that has one with "
            "--instruct (and --base), or a family whose turns the tokens are made for with --family NAME"
        )
    tokenizer.chat_template = template
    switch = thinking_switch(tokenizer, folder)
    end = end_of_turn(tokenizer, folder, switch)
    pad = tokenizer.pad_token or tokenizer.eos_token or end
    return Family(
        name=NAME,
        summary="as the model's own files have it",
        architectures=architectures,
        chat_template=template,
        template_kwargs=switch,
        end_of_turn=end,
        pad=pad,
        bos=_bos(tokenizer),
        special_tokens=tuple(dict.fromkeys([*tokenizer.all_special_tokens, end, pad])),
        lora_targets=(),
        lora_exclude=SENSES,
    )


def causal_architectures(folder: str, config: Any) -> tuple[str, ...]:
    """The architectures that config.json names. Raises InputError unless AutoModelForCausalLM loads one of them."""
    named = tuple(config.get("architectures") or ()) if isinstance(config, dict) else ()
    kind = config.get("model_type") if isinstance(config, dict) else None
    where = f"{Path(folder) / 'config.json'}"
    if not named or not kind:
        found = f"names {named[0]} but no model_type" if named else "names no architecture"
        raise InputError(f"{where}: {found}: is it whole, and a causal language model's?")
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as KNOWN

    loaded = KNOWN.get(kind)
    fitting = {loaded} if isinstance(loaded, str) else set(loaded or ())
    if fitting & set(named):
        return named
    if config.get("auto_map"):
        raise InputError(f"{where}: {named[0]} needs code of its own (auto_map), which is not run here")
    raise InputError(
        f"{where}: {named[0]} (model_type {kind}) is not a causal language model that the installed transformers "
        "knows: name a model of class ...ForCausalLM, or update transformers"
    )


def load(folder: str) -> Any:
    """A folder's tokenizer as it is. Raises InputError if there is none, or none that is fast."""
    if not (Path(folder) / TOKENIZER).is_file():
        raise InputError(f"{folder}: no {TOKENIZER} in it: save the (fast) tokenizer beside the weights")
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder)
    except Exception as error:  # the library's errors share no base: each means that the files are no tokenizer
        what = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{folder}: its tokenizer cannot be loaded ({what}): save it again") from None


def template_text(tokenizer: Any) -> str | None:
    """The tokenizer's chat template, its date made to stand still; None if it has none."""
    if not tokenizer.chat_template:
        return None
    text = str(tokenizer.get_chat_template())
    return STILL + text if "strftime_now" in text and not text.startswith(STILL) else text


def thinking_switch(tokenizer: Any, folder: str) -> dict[str, bool]:
    """What turns thinking off: the first switch that the template knows; empty if it knows none."""
    for name in THINKING:
        texts = [_render(tokenizer, folder, True, {name: on}, ASKED) for on in (False, True)]
        if texts[0] != texts[1]:
            return {name: False}
    return {}


def end_of_turn(tokenizer: Any, folder: str, switch: dict[str, bool]) -> str:
    """The token that stands after an answer. Raises InputError if the template sets none there."""
    text = _render(tokenizer, folder, False, switch, ASKED, TOLD)
    _, found, rest = text.rpartition(TOLD["content"])
    if not found:
        raise InputError(
            f"{folder}: its chat template leaves the assistant's answer out: give it a template that does not"
        )
    whole = {*tokenizer.added_tokens_decoder, *tokenizer.all_special_ids}
    for token in tokenizer(rest, add_special_tokens=False)["input_ids"]:
        if token in whole:
            return str(tokenizer.convert_ids_to_tokens(token))
        if tokenizer.decode([token]).strip():
            break
    after = f"is followed by {rest[:30]!r}" if rest else "ends the text"
    raise InputError(
        f"{folder}: no end-of-turn token: after its chat template an answer {after}; it needs a template that ends an "
        "answer with a special token"
    )


def trains_as_it_generates(tokenizer: Any, family: Family) -> bool:
    """Whether a finished conversation begins as its prompt does: else no answer could be trained where it is asked."""
    prompt = _render(tokenizer, "", True, family.template_kwargs, ASKED)
    return _render(tokenizer, "", False, family.template_kwargs, ASKED, TOLD).startswith(prompt)


def _render(tokenizer: Any, folder: str, generation: bool, switch: dict[str, Any], *messages: dict[str, str]) -> str:
    try:
        return str(
            tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=generation, **switch)
        )
    except Exception as error:  # whatever a template raises, it does not render a plain question and answer
        what = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{folder}: its chat template does not render a question and an answer ({what})") from None


def _bos(tokenizer: Any) -> str | None:
    """The token that plain text begins with, if the tokenizer puts one there."""
    first: Any = tokenizer("a")["input_ids"][:1]
    return str(tokenizer.bos_token) if tokenizer.bos_token and first == [tokenizer.bos_token_id] else None
