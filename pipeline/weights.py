"""Loading and saving weights and tokenizers. Heavy libraries are imported inside the functions.

A model is a folder: whole weights, or a PEFT adapter that names its base. Adapters are merged in float32, because in
bfloat16 the merged model differs from the trained one by about 0.01 in its logits.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.chat import FAMILY_FILE, base_of, family_of, mend_generation_config, prepare, tokenizer_folder
from pipeline.errors import InputError
from pipeline.family import Family
from pipeline.paths import write_json

DTYPES = ("float32", "bfloat16")


def placement(dtype: str = "auto") -> tuple[str, str]:
    """Device and dtype to compute with: the GPU if there is one; `auto` is the dtype that this machine is fast at."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if dtype == "auto":
        from pipeline import machine

        dtype = machine.cached().dtype
    if dtype not in DTYPES:
        raise InputError(f"dtype '{dtype}': known are {', '.join(DTYPES)} and auto")
    return device, dtype


def load_tokenizer(folder: str | Path, family: Family | None = None) -> Any:
    """The tokenizer of a model or adapter folder, with its family's template, turn end and padding."""
    from transformers import AutoTokenizer

    with _quiet():
        tokenizer = AutoTokenizer.from_pretrained(str(tokenizer_folder(folder)))
    return prepare(tokenizer, family or family_of(folder))


def load_model(folder: str | Path, dtype: str = "float32", device: str = "cpu") -> Any:
    """The whole model in `folder` (an adapter merged into its base), in evaluation mode.

    Raises InputError if it cannot be loaded, or the adapter does not fit its base.
    """
    import torch

    base = base_of(folder)
    if base is None:
        return _load_whole(folder, dtype, device).eval()
    return _merged(load_model(base, "float32", device), Path(folder), base).to(getattr(torch, dtype)).eval()


def _merged(model: Any, adapter: Path, base: Path) -> Any:
    from peft import PeftModel

    try:
        adapted = PeftModel.from_pretrained(model, str(adapter))
    except (RuntimeError, ValueError, KeyError, TypeError) as error:  # other shapes, other modules, no such method
        what = " ".join(str(error).split())[:200]
        raise InputError(
            f"{adapter}: the adapter does not fit its base {base} ({what}): name another with --base"
        ) from None
    if not hasattr(adapted.base_model, "merge_and_unload"):
        kind = adapted.active_peft_config.peft_type.value
        raise InputError(
            f"{adapter}: a {kind} adapter cannot be merged into its base: only LoRA's kind can be scored here"
        )
    return adapted.merge_and_unload()


def _load_whole(folder: str | Path, dtype: str, device: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    where = {} if device == "cpu" else {"device_map": {"": device}}
    with _quiet():
        return AutoModelForCausalLM.from_pretrained(str(folder), dtype=getattr(torch, dtype), **where)


def save_whole(model: Any, tokenizer: Any, folder: str | Path, family: Family) -> None:
    """Save weights, tokenizer, template and generation settings: plain `generate` on the folder stops by itself."""
    target = Path(folder)
    with _quiet():
        model.save_pretrained(str(target))
        tokenizer.save_pretrained(str(target))
    mend_generation_config(target, family)
    if not _tells(target, family):
        write_json(target / FAMILY_FILE, family)


def _tells(folder: Path, family: Family) -> bool:
    """Whether the folder's own files lead to that family."""
    try:
        return family_of(folder) == family
    except InputError:
        return False


def export(model_path: str | Path, folder: str | Path) -> None:
    """Write the model in `model_path`, an adapter merged, as a whole model to `folder`, which must not exist yet.

    Weights are stored in the dtype of the checkpoint that training began with.
    """
    family = family_of(model_path)
    origin = base_of(model_path) or Path(model_path)
    temporary = Path(f"{folder}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        model = load_model(model_path, dtype="float32")
        save_whole(model.to(stored_dtype(origin)), load_tokenizer(model_path, family), temporary, family)
        os.rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def embedding_rows(folder: str | Path) -> int:
    """How many tokens the model in `folder` has embeddings for: a tokenizer may know more (Gemma 3's does, by one)."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(str(base_of(folder) or folder))
    return int(config.get_text_config().vocab_size)


def stored_dtype(folder: str | Path) -> Any:
    """The torch dtype that a whole model's folder says its weights have."""
    import torch

    from pipeline.paths import read_json

    config = read_json(Path(folder) / "config.json")
    return getattr(torch, config.get("dtype") or config.get("torch_dtype") or "float32")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and no library warnings while loading: errors still come through."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
