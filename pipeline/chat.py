"""Chat templates and ends of turns, handled once: training, evaluation and the saved model all render alike."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pipeline import plugins
from pipeline.errors import InputError
from pipeline.paths import read_json, write_json
from pipeline.types import Family

Message = dict[str, Any]
_TOOLS = re.compile(r"\btools\b")  # the variable in which a template gets them
_DATED = "strftime_now"  # a template that writes today's date: the same prompt would differ from one day to the next


def base_of(folder: str | Path) -> Path | None:
    """The folder of the model that a PEFT adapter in `folder` sits on; None if `folder` is a whole model."""
    config = Path(folder) / "adapter_config.json"
    if not config.is_file():
        return None
    base = read_json(config).get("base_model_name_or_path")
    if not base or not Path(base).is_dir():
        raise InputError(f"{config}: its base model '{base}' is not a folder here: correct base_model_name_or_path")
    return Path(base)


def family_of(model_folder: str | Path) -> Family:
    """The family of a model or adapter folder, by the architecture in config.json.

    Raises InputError if there is no config.json or no family knows the architecture.
    """
    folder = base_of(model_folder) or Path(model_folder)
    config = folder / "config.json"
    if not config.is_file():
        raise InputError(f"{folder}: no config.json in it: name a model's folder")
    architectures = read_json(config).get("architectures") or []
    families = [plugins.load("families", name).FAMILY for name in plugins.names("families")]
    for family in families:
        if set(architectures) & set(family.architectures):
            return family
    known = ", ".join(sorted(name for family in families for name in family.architectures))
    raise InputError(
        f"{config}: no family for architecture {', '.join(architectures) or 'none given'}: known are {known}; "
        "add pipeline/families/NAME.py for another"
    )


def prepare(tokenizer: Any, family: Family) -> Any:
    """Give a tokenizer its family's template (where it has none, or one that writes the date), turn end and padding.

    Changes the tokenizer and returns it. Raises InputError if the vocabulary lacks a token that the family needs.
    """
    vocabulary = tokenizer.get_vocab()
    for token in (family.end_of_turn, family.pad, family.bos):
        if token is not None and token not in vocabulary:
            raise InputError(f"{tokenizer.name_or_path}: the tokenizer has no {token}, which {family.name} needs")
    own = tokenizer.chat_template
    if not own or _DATED in str(own) or own == family.chat_template:
        tokenizer.chat_template = template_of(family)
    tokenizer.eos_token = family.end_of_turn
    tokenizer.pad_token = family.pad
    if family.bos is not None:
        tokenizer.bos_token = family.bos
    tokenizer.padding_side = "left"
    return tokenizer


def template_of(family: Family) -> str:
    """The family's own template: one text for conversations with tools and without."""
    if family.tools_template is None:
        return family.chat_template
    return f"{{%- if tools -%}}{family.tools_template}{{%- else -%}}{family.chat_template}{{%- endif -%}}"


def render(tokenizer: Any, family: Family, messages: list[Message], generation: bool, tools: Any = None) -> str:
    """The text of a conversation; with `generation` up to where the model's next turn begins.

    It holds all special tokens: tokenise it with add_special_tokens=False. Tools are shown by the tokenizer's template,
    or by the family's where that one would leave them out. Raises InputError if neither shows them.
    """
    template = None
    if tools and not _TOOLS.search(str(tokenizer.chat_template)):
        if family.tools_template is None:
            raise InputError(
                f"{tokenizer.name_or_path}: its chat template shows no tools: use a benchmark that writes functions "
                "into the prompt, such as bfcl_ast, or a tokenizer with a template that knows them"
            )
        template = template_of(family)
    return tokenizer.apply_chat_template(
        messages, tools=tools or None, chat_template=template, tokenize=False, add_generation_prompt=generation,
        **family.template_kwargs,
    )  # fmt: skip


def mend_generation_config(folder: str | Path, family: Family) -> None:
    """Make plain `generate` on the model in `folder` stop at the end of a turn, and pad with the family's padding.

    Other settings in generation_config.json stay. Raises InputError if the folder's tokenizer lacks the tokens.
    """
    path = Path(folder) / "generation_config.json"
    config = read_json(path) if path.is_file() else read_json(Path(folder) / "config.json")
    previous = config.get("eos_token_id")
    earlier = previous if isinstance(previous, list) else [] if previous is None else [previous]
    end = token_id(folder, family.end_of_turn)
    mended = {
        **(config if path.is_file() else {}),
        "eos_token_id": [end, *(token for token in earlier if token != end)],
        "pad_token_id": token_id(folder, family.pad),
    }
    write_json(path, mended)


def token_id(folder: str | Path, token: str) -> int:
    """The id of a token in the folder's tokenizer.json. Raises InputError if either is missing."""
    from tokenizers import Tokenizer

    path = Path(folder) / "tokenizer.json"
    if not path.is_file():
        raise InputError(f"{folder}: no tokenizer.json in it: save the tokenizer beside the weights")
    found = Tokenizer.from_file(str(path)).token_to_id(token)
    if found is None:
        raise InputError(f"{path}: the tokenizer has no {token}")
    return int(found)
