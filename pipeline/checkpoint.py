"""A checkpoint that was made outside a run: whether it may be one of the run's base, and its copy into the run.

The folder may be another program's, which may write what it likes there and change it meanwhile. So nothing but named
kinds of files is taken, links lead nowhere, and what is scored is the copy.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline import chat
from pipeline.derived import TOKENIZER
from pipeline.errors import InputError
from pipeline.paths import read_json, write_json
from pipeline.tensors import WEIGHTS, same_weights

CONFIG, INDEX = "config.json", "*.safetensors.index.json"
OF_TOKENIZER = ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab*", "merges.txt", "chat_template*")
TAKEN = (WEIGHTS, "*.json", "*.jinja", "*.txt", "*.model")
PICKLED = ("*.bin", "*.pt", "*.pth")
SHAPE = ("model_type", "vocab_size", "hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads",
         "num_key_value_heads", "head_dim")  # fmt: skip
OWN_PLACES = ("sealed", "trials", "final_model")  # of a run folder
REST = "give a folder with a whole model, or a PEFT adapter on the run's base"


def check(source: Path, run: Path, base: Path, base_name: str) -> None:
    """What can be told in an instant. Raises InputError if `source` can be no checkpoint of the run's base."""
    if not source.is_dir():
        raise InputError(f"submit {source}: {'not a folder' if source.exists() else 'no such folder'}: {REST}")
    real = source.resolve()
    for place in OWN_PLACES:
        if real.is_relative_to((run / place).resolve()):
            raise InputError(
                f"submit {source}: lies in the run's own {place}/: submit what was trained outside the run"
            )
    if real == base.resolve():
        raise InputError(f"submit {source}: this is the run's base itself: train it first")
    adapter = (source / chat.ADAPTER).is_file()
    if not adapter and not (source / CONFIG).is_file():
        raise InputError(f"submit {source}: holds neither {CONFIG} nor {chat.ADAPTER}: {REST}")
    names = [path.name for path in _taken(source)]
    _check_weights(source, names)
    if adapter:
        _check_base(source, base, base_name)
    else:
        _check_shape(source, base)


def _check_weights(source: Path, names: list[str]) -> None:
    weights = [name for name in names if Path(name).match(WEIGHTS)]
    if not weights:
        pickled = any(True for pattern in PICKLED for _ in source.glob(pattern))
        what = "its weights are pickled, which can hold code: save them with safe_serialization" if pickled else REST
        raise InputError(f"submit {source}: no weights ({WEIGHTS}): {what}")
    for index in source.glob(INDEX):
        found = _object(index).get("weight_map")
        files = set(found.values()) if isinstance(found, dict) else {None}
        missing = sorted(str(file) for file in files if file not in weights)
        if missing:
            raise InputError(f"submit {source}: {index.name} names {missing[0]}, which is not there: save it whole")


def _check_base(source: Path, base: Path, base_name: str) -> None:
    named = chat.named_base(source) or ""
    beside = [Path(named).expanduser(), source / named] if named else []
    here = next((path for path in beside if path.is_dir()), None)
    if named == base_name or (here is not None and here.resolve() == base.resolve()):
        return
    if here is not None and (here / CONFIG).is_file() and same_weights(here, _whole(base)):
        return
    raise InputError(f"submit {source}: the adapter sits on '{named}', not on the run's base {base_name}: {REST}")


def _check_shape(source: Path, base: Path) -> None:
    whole = _whole(base)
    if not (whole / CONFIG).is_file():
        return
    ours, theirs = _object(whole / CONFIG), _object(source / CONFIG)
    for name, of in (("architectures", ours), *((name, ours.get("text_config") or ours) for name in SHAPE)):
        held = theirs if of is ours else (theirs.get("text_config") or theirs)
        if name in of and name in held and of[name] != held[name]:
            what = f"{name} is {held[name]}, the base's {of[name]}"
            raise InputError(f"submit {source}: another model than the run's base: {what}: {REST}")


def _whole(base: Path) -> Path:
    """The whole model below a base that may be an adapter itself."""
    below = chat.base_of(base)
    return _whole(below) if below else base


def _object(path: Path) -> dict[str, Any]:
    found = read_json(path)
    if not isinstance(found, dict):
        raise InputError(f"{path}: a JSON object is needed")
    return found


# ---------------------------------------------------------------- the copy


def take(source: Path, target: Path, base: Path) -> None:
    """Copy the checkpoint to `target`, on the run's base and with its tokenizer where it brings none.

    Raises InputError for links that lead out of the folder, files of no kind, weights that are no safetensors, and a
    tokenizer with another vocabulary.
    """
    target.mkdir(parents=True)
    for path in _taken(source):
        _copy(path, _real(path, source), target / path.name)
    _check_weights(target, [path.name for path in _taken(target)])
    family = _whole(base) / chat.FAMILY_FILE
    if family.is_file():
        shutil.copyfile(family, target / chat.FAMILY_FILE)
    if (target / chat.ADAPTER).is_file():
        config = {**_object(target / chat.ADAPTER), "base_model_name_or_path": str(base.absolute())}
        write_json(target / chat.ADAPTER, config)
    elif not (target / TOKENIZER).is_file():
        for pattern in OF_TOKENIZER:
            for path in chat.tokenizer_folder(base).glob(pattern):
                shutil.copyfile(path, target / path.name)
    _check_vocabulary(target, base)


def _taken(source: Path) -> Iterator[Path]:
    """The files of a checkpoint: no code, no optimizer, no subfolder, and no family but the base's."""
    for path in sorted(source.iterdir()):
        if any(path.match(pattern) for pattern in TAKEN) and path.name != chat.FAMILY_FILE:
            yield path


def _real(path: Path, source: Path) -> Path:
    """The file itself. A link may lead within its folder, or into the Hub cache's blobs beside it, nowhere else."""
    real, folder = path.resolve(), source.resolve()
    blobs = folder.parent.parent / "blobs"
    inside = real.parent == folder or (folder.parent.name == "snapshots" and real.parent == blobs)
    if not inside:
        raise InputError(f"submit {source}: {path.name} is a link that leads out of the folder: copy the file there")
    return real


def _copy(path: Path, real: Path, target: Path) -> None:
    # neither following what has become a link meanwhile nor waiting for the other end of a pipe
    handle = os.open(real, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(handle, "rb") as opened:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise InputError(f"submit {path.parent}: {path.name} is no file")
        with target.open("xb") as written:
            shutil.copyfileobj(opened, written, 2**20)


def _check_vocabulary(target: Path, base: Path) -> None:
    ours, theirs = chat.tokenizer_folder(base) / TOKENIZER, target / TOKENIZER
    if not (ours.is_file() and theirs.is_file()):
        return
    if _vocabulary(ours) != _vocabulary(theirs):
        raise InputError("its tokenizer has another vocabulary than the run's base: keep the base's")


def _vocabulary(path: Path) -> Any:
    model = _object(path).get("model")
    return model.get("vocab") if isinstance(model, dict) else None
