"""Chat templates and ends of turns, handled once: training, evaluation and the saved model all render alike."""

from __future__ import annotations

import contextlib
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline import derived, plugins
from pipeline.errors import DataError, InputError
from pipeline.family import Family
from pipeline.paths import read_json, write_json

Message = dict[str, Any]
_TOOLS = re.compile(r"\btools\b")  # the variable in which a template gets them
_THOUGHTS = re.compile(r"\s*<think>.*?</think>\s*", re.DOTALL)
_DATED = "strftime_now"  # a template that writes today's date: the same prompt would differ from one day to the next


ADAPTER = "adapter_config.json"
FAMILY_FILE = "posttrain_family.json"  # in a model's folder: its family, where its other files would tell another


def base_of(folder: str | Path) -> Path | None:
    """The folder of the model that a PEFT adapter in `folder` sits on; None if `folder` is a whole model."""
    base = named_base(folder)
    if base is None:
        return None
    if not base or not Path(base).is_dir():
        raise InputError(
            f"{Path(folder) / ADAPTER}: its base model '{base}' is not a folder here: name it with --base, or correct "
            "base_model_name_or_path"
        )
    return Path(base)


def named_base(folder: str | Path) -> str | None:
    """What a PEFT adapter's configuration names as its base, perhaps nothing; None if `folder` is a whole model."""
    config = Path(folder) / ADAPTER
    if not config.is_file():
        return None
    found = read_json(config)
    if not isinstance(found, dict):
        raise InputError(f"{config}: not a JSON object: is it a PEFT adapter?")
    return str(found.get("base_model_name_or_path") or "")


def family_of(model_folder: str | Path) -> Family:
    """The family of a model or adapter folder, the same in every process: nothing but the folder decides.

    What FAMILY_FILE holds, else the shipped family that knows the architecture in config.json and whose tokens are in
    the vocabulary, else one derived from the model's own files. Raises InputError if something is missing for that.
    """
    place = Path(model_folder)
    told = place / FAMILY_FILE
    if told.is_file():
        return _read_family(told)
    base = base_of(place)
    if base is None:
        return shipped(place) or derived.derive(place)
    known = _told_or_shipped(base)
    if known is None and (place / derived.TOKENIZER).is_file():
        with contextlib.suppress(derived.NoTemplate):  # an adapter may bring the tokenizer that it was trained with
            return derived.derive(base, tokenizer_of=place)
    return known or family_of(base)


def _told_or_shipped(folder: Path) -> Family | None:
    told, base = folder / FAMILY_FILE, base_of(folder)
    if told.is_file():
        return _read_family(told)
    return shipped(folder) if base is None else _told_or_shipped(base)


def _read_family(path: Path) -> Family:
    try:
        return Family.model_validate(read_json(path))
    except ValidationError as error:
        what = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: not a family ({what}): remove it, or write it anew with --family") from None


def shipped(folder: Path) -> Family | None:
    """The family in families/ that a whole model's folder belongs to, if any. Raises InputError without config.json."""
    config = folder / "config.json"
    if not config.is_file():
        raise InputError(f"{folder}: no config.json in it: name a model's folder")
    found = read_json(config)
    architectures = set(found.get("architectures") or () if isinstance(found, dict) else ())
    for name in plugins.names("families"):
        family: Family = plugins.load("families", name).FAMILY
        if architectures & set(family.architectures) and not missing_tokens(folder, family):
            return family
    return None


def missing_tokens(folder: Path, family: Family) -> list[str]:
    """Tokens that the family needs and the folder's vocabulary lacks; none where there is no tokenizer.json to tell."""
    path = folder / derived.TOKENIZER
    if not path.is_file():
        return []
    text = _text(path, path.stat().st_mtime_ns)
    wanted = filter(None, (family.end_of_turn, family.pad, family.bos))
    return [
        token for token in wanted if json.dumps(token) not in text and json.dumps(token, ensure_ascii=False) not in text
    ]


@lru_cache(maxsize=2)
def _text(path: Path, _: int) -> str:
    return path.read_text(
        encoding="utf-8", errors="replace"
    )  # 30 MB at most: hundredths of a second, parsing takes one


def prepare(tokenizer: Any, family: Family) -> Any:
    """Give a tokenizer its family's template (where it has none, or one that writes the date), turn end and padding.

    Changes the tokenizer and returns it. Raises InputError if the vocabulary lacks a token that the family needs.
    """
    number = tokenizer.backend_tokenizer.token_to_id  # without a copy of the vocabulary
    for token in (family.end_of_turn, family.pad, family.bos):
        if token is not None and number(token) is None:
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
    or by the family's where that one would leave them out; thoughts before an answer only with thinking on. Raises
    InputError if neither shows tools, DataError if the template refuses the conversation.
    """
    from jinja2 import TemplateError

    template = None
    if tools and not _TOOLS.search(str(tokenizer.chat_template)):
        if family.tools_template is None:
            raise InputError(
                f"{tokenizer.name_or_path}: its chat template shows no tools: use a benchmark that writes functions "
                "into the prompt, such as bfcl_ast, or a tokenizer with a template that knows them"
            )
        template = template_of(family)
    try:
        return tokenizer.apply_chat_template(
            _spoken(messages, family), tools=tools or None, chat_template=template, tokenize=False,
            add_generation_prompt=generation, **family.template_kwargs,
        )  # fmt: skip
    except (TemplateError, TypeError) as error:  # TypeError: a call without arguments, say
        what = " ".join(str(error).split())[:200]
        raise DataError(
            f"{tokenizer.name_or_path}: its chat template refuses the conversation ({what}): correct the messages"
        ) from None


def _spoken(messages: list[Message], family: Family) -> list[Message]:
    """The messages, with thinking off without the thoughts that an answer begins with.

    Qwen3's own template does so with earlier answers, and begins the last one with its thoughts instead of the empty
    block that generation begins it with: nothing could be trained there.
    """
    if not any(family.template_kwargs.get(name) is False for name in derived.THINKING):
        return messages
    return [_without_thoughts(each) if each["role"] == "assistant" else each for each in messages]


def _without_thoughts(message: Message) -> Message:
    content = message.get("content") or ""
    thoughts = _THOUGHTS.match(content) if isinstance(content, str) else None
    if thoughts is None or (thoughts.end() == len(content) and not message.get("tool_calls")):
        return message
    return {**message, "content": content[thoughts.end() :]}


def check_trainable(folder: str | Path) -> None:
    """Raises InputError if a derived family's template renders answers elsewhere than where they are asked for."""
    family = family_of(folder)
    if family.name != derived.NAME:
        return
    tokenizer = derived.load(str(tokenizer_folder(folder)))
    tokenizer.chat_template = family.chat_template
    if not derived.trains_as_it_generates(tokenizer, family):
        raise InputError(
            f"{folder}: its chat template asks for an answer in other words than it renders one after: none can "
            "be trained where it is asked for; give it a template whose generation prompt begins a finished turn"
        )


def with_thinking(family: Family) -> Family:
    """The family with thinking on, for evaluation. Raises InputError if its models know no thinking."""
    switches = {name: True for name in derived.THINKING if name in family.template_kwargs}
    if not switches:
        raise InputError(
            f"--thinking: the chat template of this model (family {family.name}) knows no thinking: omit it"
        )
    return family.model_copy(update={"template_kwargs": family.template_kwargs | switches})


def mend_generation_config(folder: str | Path, family: Family) -> None:
    """Make plain `generate` on the model in `folder` stop at the end of a turn, and pad with the family's padding.

    Other settings in generation_config.json stay. Raises InputError if the folder's tokenizer lacks the tokens.
    """
    path = Path(folder) / "generation_config.json"
    config = read_json(path) if path.is_file() else read_json(Path(folder) / "config.json")
    previous = config.get("eos_token_id")
    earlier = previous if isinstance(previous, list) else [] if previous is None else [previous]
    end, pad = token_ids(folder, family.end_of_turn, family.pad)
    mended = {
        **(config if path.is_file() else {}),
        "eos_token_id": [end, *(token for token in earlier if token != end)],
        "pad_token_id": pad,
    }
    write_json(path, mended)


def token_id(folder: str | Path, token: str) -> int:
    """A token's number in the vocabulary of a model or adapter folder. Raises InputError if it is not in there."""
    return token_ids(folder, token)[0]


def token_ids(folder: str | Path, *tokens: str) -> list[int]:
    """The same of several tokens, from one look at the file: of 262,000 entries reading it takes a second or two."""
    path = tokenizer_folder(folder) / derived.TOKENIZER
    if not path.is_file():
        raise InputError(f"{folder}: no tokenizer.json in it: save the tokenizer beside the weights")
    found = _numbers(path, path.stat().st_mtime_ns, tokens)
    missing = [token for token, number in zip(tokens, found, strict=True) if number is None]
    if missing:
        raise InputError(f"{path}: the tokenizer has no {missing[0]}")
    return [number for number in found if number is not None]


@lru_cache(maxsize=64)
def _numbers(path: Path, _: int, tokens: tuple[str, ...]) -> tuple[int | None, ...]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    return tuple(tokenizer.token_to_id(token) for token in tokens)


def tokenizer_folder(folder: str | Path) -> Path:
    """Where a model's tokenizer lies: its own folder, or that of the base that an adapter without one sits on."""
    place = Path(folder)
    has_one = any((place / name).is_file() for name in ("tokenizer_config.json", derived.TOKENIZER))
    base = None if has_one else base_of(place)
    return tokenizer_folder(base) if base else place


def brings_template(folder: str | Path) -> bool:
    """Whether the tokenizer of a model or adapter folder has a chat template of its own."""
    place = tokenizer_folder(folder)
    config = place / "tokenizer_config.json"
    beside = any(place.glob("chat_template*"))
    return beside or (config.is_file() and bool(read_json(config).get("chat_template")))
