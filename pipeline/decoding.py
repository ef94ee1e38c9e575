"""How a model's answers are drawn: what a user's options ask for, what a generation_config.json says, and in words.

Models are decoded alike whatever their generation_config.json holds, because a setting there can move a score more
than training does; what it brings by itself is measured as a row of its own (`set_apart`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from pipeline.chat import base_of, family_of, token_id
from pipeline.errors import InputError
from pipeline.paths import read_json
from pipeline.types import GREEDY, Decoding
from pipeline.validation import first_fault

FILE = "generation_config.json"
SAMPLED = Decoding(temperature=0.6, top_p=0.95)  # where repeats are asked for and nothing is said of how to draw
Reader = Literal["transformers", "vllm"]

# Settings that change what transformers' `generate` picks and that no engine here follows: name -> its neutral value.
NOT_FOLLOWED: dict[str, Any] = {
    "num_beams": 1, "penalty_alpha": 0.0, "typical_p": 1.0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0, "top_h": None,
    "no_repeat_ngram_size": 0, "encoder_no_repeat_ngram_size": 0, "encoder_repetition_penalty": 1.0,
    "min_length": 0, "min_new_tokens": 0, "bad_words_ids": None, "sequence_bias": None, "suppress_tokens": None,
    "begin_suppress_tokens": None, "forced_bos_token_id": None, "forced_eos_token_id": None,
    "exponential_decay_length_penalty": None, "guidance_scale": 1.0, "watermarking_config": None,
    "stop_strings": None, "dola_layers": None, "prompt_lookup_num_tokens": None,
}  # fmt: skip


class Reading(NamedTuple):
    """What a generation_config.json asks for, and which of its settings are not followed, as `name value`."""

    decoding: Decoding
    not_followed: tuple[str, ...]


def describe(decoding: Decoding) -> str:
    """Decoding in words."""
    times = f", {decoding.repeats} answers per item" if decoding.repeats > 1 else ""
    if decoding.own:
        return f"as each model's {FILE} says ({decoding.own}'s reading){times}"
    penalty = f", repetition penalty {decoding.repetition_penalty:g}" if decoding.repetition_penalty != 1.0 else ""
    if decoding.temperature == 0.0:
        return f"greedy{penalty}"
    said = [f"temperature {decoding.temperature:g}", f"top-p {decoding.top_p:g}"]
    said += [f"top-k {decoding.top_k}"] if decoding.top_k else []
    said += [f"min-p {decoding.min_p:g}"] if decoding.min_p else []
    return ", ".join(said) + penalty + times


def overridden(
    decoding: Decoding, temperature: float | None = None, top_p: float | None = None, repeats: int | None = None
) -> Decoding:
    """`decoding` as a user's options change it. Raises InputError if they do not go together.

    Repeats alone, where decoding is greedy, are drawn at temperature 0.6 and top-p 0.95. Temperature 0 is greedy.
    """
    if temperature == 0.0:
        if top_p is not None or (repeats or 1) > 1:
            raise InputError("--temperature 0 is greedy, each answer the same: omit --top-p and --repeats, or raise it")
        return GREEDY
    if top_p is not None and temperature is None and decoding.temperature == 0.0:
        raise InputError(f"--top-p {top_p:g} without --temperature: nothing is drawn, or as each model says: give both")
    settings = decoding.model_dump()
    if decoding.own and temperature is not None:
        settings = {"repeats": decoding.repeats}
    elif (repeats or 1) > 1 and temperature is None and not decoding.own and decoding.temperature == 0.0:
        settings |= {"temperature": SAMPLED.temperature, "top_p": SAMPLED.top_p}
    given = {"temperature": temperature, "top_p": top_p, "repeats": repeats}
    settings |= {name: value for name, value in given.items() if value is not None}
    try:
        return Decoding.model_validate(settings)
    except ValidationError as error:
        fault = first_fault(error, Decoding)
        raise InputError(f"--{'.'.join(map(str, fault.place)).replace('_', '-')}: {fault.message}") from None


# ---------------------------------------------------------------- a model's own settings


def of_model(folder: str | Path, reader: Reader, repeats: int = 1) -> Reading:
    """What the generation_config.json of a model or adapter folder asks for; none there asks for the reader's defaults.

    transformers samples if `do_sample`, then from the 50 likeliest unless told otherwise; vLLM knows no `do_sample` and
    samples at temperature 1 unless told otherwise. A greedy model answers once. Raises InputError: an unusable value.
    """
    path, found = _read(folder)
    greedy = not found.get("do_sample") if reader == "transformers" else False
    temperature = 0.0 if greedy else _number(path, found, "temperature", 1.0)
    settings: dict[str, Any] = {"repetition_penalty": _number(path, found, "repetition_penalty", 1.0)}
    if temperature >= 1e-5:  # below it vLLM is greedy, and transformers refuses
        settings |= {
            "temperature": temperature,
            "top_p": _number(path, found, "top_p", 1.0),
            "top_k": max(0, int(_number(path, found, "top_k", 50 if reader == "transformers" else 0))),
            "min_p": _number(path, found, "min_p", 0.0),
            "repeats": repeats,
        }
    try:
        decoding = Decoding.model_validate(settings)
    except ValidationError as error:
        fault = first_fault(error, Decoding)
        raise InputError(f"{path}: {'.'.join(map(str, fault.place))}: {fault.message}") from None
    return Reading(decoding, _not_followed(found) if reader == "transformers" else ())


def settled(decoding: Decoding, folder: str | Path) -> Decoding:
    """`decoding` with `own` read from the model's folder. Raises InputError if a setting there cannot be followed."""
    if decoding.own is None:
        return decoding
    found = of_model(folder, decoding.own, decoding.repeats)
    if found.not_followed:
        asked = ", ".join(found.not_followed)
        raise InputError(f"{folder}: its {FILE} asks for {asked}, which is not supported: remove it there")
    return found.decoding


def set_apart(folder: str | Path, other: str | Path) -> bool:
    """Whether two models' generation_config.json differ in what decides decoding, for either reader.

    Ends of turn count unless they are the family's own, which training mends.
    """
    readers: tuple[Reader, ...] = ("transformers", "vllm")
    is_read_alike = all(of_model(folder, reader) == of_model(other, reader) for reader in readers)
    return not is_read_alike or bool(further_ends(folder, other))


def further_ends(folder: str | Path, other: str | Path) -> tuple[int, ...]:
    """Tokens at which the model in `folder` ends, beside its family's end of turn, and the one in `other` does not."""
    ends = {*_ends(folder)} - {*_ends(other)}
    if ends:
        ends -= {token_id(base_of(folder) or folder, family_of(folder).end_of_turn)}
    return tuple(sorted(ends))


def _ends(folder: str | Path) -> list[int]:
    """The eos ids of generation_config.json, else of config.json."""
    place = base_of(folder) or Path(folder)
    for name in (FILE, "config.json"):
        listed = read_json(place / name).get("eos_token_id") if (place / name).is_file() else None
        if listed is not None:
            return listed if isinstance(listed, list) else [listed]
    return []


def _read(folder: str | Path) -> tuple[Path, dict[str, Any]]:
    path = (base_of(folder) or Path(folder)) / FILE
    found = read_json(path) if path.is_file() else {}
    if not isinstance(found, dict):
        raise InputError(f"{path}: not a JSON object: restore it from the model's source")
    return path, found


def _number(path: Path, found: dict[str, Any], name: str, default: float) -> float:
    value = found.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{path}: {name}: must be a number, not {value!r}")
    return float(value)


def _not_followed(found: dict[str, Any]) -> tuple[str, ...]:
    asked = {name: found.get(name) for name, neutral in NOT_FOLLOWED.items() if found.get(name) not in (None, neutral)}
    return tuple(f"{name} {value}" for name, value in asked.items() if value not in ([], {}, 0, False))
