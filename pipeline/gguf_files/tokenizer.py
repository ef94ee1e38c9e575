"""A GGUF file's tokenizer, chat template and stop tokens, as transformers has them beside the weights.

The vocabulary, its merges and the special tokens are read by transformers. How text is cut into words before that is
only named in the file; a name that is not known is refused, because other cuts make other tokens.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.gguf_files.header import Header

# Cuts that transformers makes by itself: GPT-2's, and those that it knows by these names.
GPT2 = ("default", "gpt-2", "mpt", "olmo", "jais", "phi-2", "roberta-bpe", "exaone4")
KNOWN = ("llama-bpe", "llama3", "llama-v3", "smaug-bpe", "lfm2", "tekken", "qwen2", "deepseek-r1-qwen", "gpt-4o")
# Cuts around each digit, then as GPT-2. Without it two spaces or line breaks before a digit become other tokens.
DIGITS = ("smollm", "starcoder", "refact", "command-r")
BYTE_LEVEL = "gpt2"
STOPS = ("eos", "eot", "eom")  # ids of tokens at which generation ends


def tokenizer(header: Header) -> Any:
    """The tokenizer, with the file's chat template. Raises InputError if it cannot be made."""
    from transformers import PreTrainedTokenizerFast

    kind, cut = (header.metadata.get(f"tokenizer.ggml.{key}") for key in ("model", "pre"))
    if kind == BYTE_LEVEL and (cut or "default") not in (*GPT2, *KNOWN, *DIGITS):
        raise InputError(
            f"{header.path}: its tokenizer cuts words in a way that is not known ('{str(cut)[:30]}'): name the model's "
            "Hub id or folder instead"
        )
    try:
        made = PreTrainedTokenizerFast.from_pretrained(str(header.path.parent), gguf_file=header.path.name)
        if kind == BYTE_LEVEL and cut in DIGITS:
            made.backend_tokenizer.pre_tokenizer = _around_digits()
    except Exception as error:  # the library's errors share no base: each means that the metadata are no tokenizer
        what = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{header.path}: its tokenizer cannot be read ({what}): fetch it again") from None
    made.chat_template = header.metadata.get("tokenizer.chat_template") or None
    made.model_max_length = header.get("context_length")
    return made


def _around_digits() -> Any:
    from tokenizers import pre_tokenizers

    digits = pre_tokenizers.Digits(individual_digits=True)
    return pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])


def generation_config(header: Header) -> dict[str, Any]:
    """What generation_config.json says: where to stop, what to begin and pad with."""
    ids = [header.metadata.get(f"tokenizer.ggml.{key}_token_id") for key in STOPS]
    found = {
        "bos_token_id": header.metadata.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": list(dict.fromkeys(number for number in ids if number is not None)),
        "pad_token_id": header.metadata.get("tokenizer.ggml.padding_token_id"),
    }
    return {name: value for name, value in found.items() if value not in (None, [])}


def place(header: Header, folder: Path) -> None:
    """Save tokenizer and generation settings; plain `generate` will stop where a turn ends."""
    from pipeline.chat import family_of, mend_generation_config
    from pipeline.derived import NoTemplate
    from pipeline.paths import write_json

    tokenizer(header).save_pretrained(str(folder))
    write_json(folder / "generation_config.json", generation_config(header))
    try:
        family = family_of(folder)
    except NoTemplate:  # a base: its sibling's template will serve
        return
    mend_generation_config(folder, family)
