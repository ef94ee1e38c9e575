"""A model's name becomes a folder: a lab model is built, a Hub id is fetched, a local folder is taken as it is, a GGUF
file is converted, and a name in the model catalogue is whichever of these its entry says.

Everything below the command line and the Session sees only folders.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline import chat, dressing, model_catalogue, tensors
from pipeline.errors import InputError
from pipeline.gguf_files import convert
from pipeline.gguf_files.header import read_header
from pipeline.types import Benchmark

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
Progress = Callable[..., None]  # (what, share done, seconds left), as `console.Progress`
MODEL_FILES = ("config.json", "adapter_config.json")  # a whole model, or a PEFT adapter
WEIGHTS = ("*.safetensors", "*.bin")
GGUF = ".gguf"


def address(name: str, benchmark: Benchmark) -> str:
    """The name under which `resolve` finds the model that is meant where a benchmark is: of a lab's, which lab."""
    if not name.startswith("lab/"):
        return name
    from pipeline import lab

    return lab.address(name, benchmark)


def check(name: str) -> None:
    """Raises InputError if `name` cannot be a model; builds and fetches nothing.

    Of a catalogue model that has to be downloaded it asks whether it may be, where there is a terminal.
    """
    entry = model_catalogue.find(name)
    path = Path(name).expanduser()
    if entry is not None:
        model_catalogue.check(entry)
    elif name.startswith("lab/"):
        known = lab_names()
        model, _, part = name.partition("@")
        if model not in known:
            from pipeline.errors import unknown

            raise unknown("lab model", model, known)
        if part:
            from pipeline.lab.scale import scale

            scale(part)
    elif name and path.is_dir():
        _check_folder(name, path)
    elif path.is_file():
        convert.check_file(path)
    elif (path.parent / "run.json").is_file():  # it reads as a Hub id, too
        raise InputError(
            f"model '{name}': the run {path.parent} has no {path.name}; see `posttrain report {path.parent}`"
        )
    elif name.startswith((".", "/", "~")) or name.endswith(GGUF) or not HUB_ID.fullmatch(name):
        raise InputError(
            f"unknown model '{name}': no such folder or GGUF file, and neither a Hub id (OWNER/NAME) nor a model of "
            f"the catalogue or the lab; these are {', '.join([*model_catalogue.entries(), *lab_names()])}"
        )


def _check_folder(name: str, folder: Path) -> None:
    if not any((folder / file).is_file() for file in MODEL_FILES):
        files = " nor ".join(MODEL_FILES)
        raise InputError(f"model '{name}': the folder holds neither {files}; name a model's folder")
    if not any(True for pattern in WEIGHTS for _ in folder.glob(pattern)):
        raise InputError(f"model '{name}': the folder has no weights ({' or '.join(WEIGHTS)}); is it complete?")
    tensors.check(folder)


def resolve(name: str, lab_seed: int = 0, progress: Progress | None = None, base: Path | None = None) -> Path:
    """The folder of a model, built, fetched or converted if need be; `progress` is told of it.

    An adapter's base is found, too: the folder or model that its configuration names, else `base`. Raises InputError
    for a name that leads nowhere, and for a Hub id that cannot be fetched.
    """
    check(name)
    if name.startswith("lab/"):
        from pipeline import lab

        return lab.resolve(name, lab_seed, **({"progress": progress} if progress else {}))
    return _on_its_base(_found(name, progress), lab_seed, progress, base)


def _found(name: str, progress: Progress | None) -> Path:
    """The folder of what is no lab model, its adapter's base not looked for."""
    entry, path = model_catalogue.find(name), Path(name).expanduser()
    if isinstance(entry, model_catalogue.HubEntry):
        return fetch(entry.id, entry.revision)
    if entry is not None:
        return model_catalogue.fetch(entry, progress)
    if path.is_file():
        return convert.convert(path, progress)
    return path.resolve() if path.is_dir() else fetch(name)


def _on_its_base(folder: Path, lab_seed: int, progress: Progress | None, base: Path | None) -> Path:
    """`folder` if it is a whole model or an adapter whose base lies where it says; else one that says where it lies."""
    wanted = chat.named_base(folder)
    if wanted is None:
        return folder
    beside = [Path(wanted).expanduser(), folder / wanted] if wanted else []
    here = next((path.resolve() for path in beside if path.is_dir()), None)
    if here is not None:
        base = resolve(str(here), lab_seed, progress)
    elif base is None:
        if not wanted.startswith("lab/") and not HUB_ID.fullmatch(wanted):
            chat.base_of(folder)  # raises what there is to say
        try:
            base = resolve(wanted, lab_seed, progress)
        except InputError as error:
            raise InputError(f"{folder}: of the adapter's base: {error}; or name it with --base") from None
    return folder if wanted == str(base) else dressing.on_base(folder, base)


def folders(
    names: Mapping[str, str], lab_seed: int = 0, progress: Progress | None = None, family: str = dressing.AUTO
) -> dict[str, Path]:
    """The folders of models by role; `base` serves the others as an adapter's base where theirs is not here.

    Each is of `family`, see `dressing.with_family`.
    """
    base = resolve(names["base"], lab_seed, progress) if "base" in names else None
    found = {role: base if role == "base" else resolve(name, lab_seed, progress, base) for role, name in names.items()}
    return dressing.with_family({role: folder for role, folder in found.items() if folder}, family)


def fetch(hub_id: str, revision: str | None = None) -> Path:
    """The folder of a Hub model's snapshot in the Hub's own cache, downloaded if it is not there."""
    import huggingface_hub
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, RepositoryNotFoundError

    try:
        return Path(huggingface_hub.snapshot_download(hub_id, revision=revision))
    except (HFValidationError, RepositoryNotFoundError):
        hint = "no such folder here and no such model on the Hub; check the name"
    except GatedRepoError:
        hint = "it is gated; accept its terms on the Hub and log in with `hf auth login`"
    except (HfHubHTTPError, OSError, ValueError) as error:
        hint = (
            f"no such folder here, and the Hub cannot be reached ({first_line(error)}); check the network, or name a "
            "folder or a lab model"
        )
    raise InputError(f"model '{hub_id}': {hint}")


def sibling(base: str) -> str | None:
    """The instruct-tuned sibling of a base model, where its family, the catalogue or the lab names one."""
    from pipeline import plugins

    if base.startswith("lab/"):
        model, at, part = base.partition("@")
        return model.removesuffix("-base") + at + part if model.endswith("-base") else None
    if (entry := model_catalogue.find(base)) is not None:
        return entry.instruct
    families = [plugins.load("families", name).FAMILY for name in plugins.names("families")]
    return next((pair.instruct for family in families for pair in family.pairs if pair.base == base), None)


def parameters(name: str) -> int | None:
    """How many parameters a model has, as far as that is known without fetching it."""
    from pipeline import plugins

    entry, path = model_catalogue.find(name), Path(name).expanduser()
    if entry is not None:
        return entry.parameters
    if path.is_dir():
        base = chat.named_base(path)
        whole = path if base is None else Path(base).expanduser()
        try:
            found = tensors.tensors(whole)
        except InputError:  # broken: whoever loads it says so
            return None
        return sum(each.size for each in found.values()) or None
    if path.is_file():
        return read_header(path).parameters
    families = [plugins.load("families", family).FAMILY for family in plugins.names("families")]
    pairs = (pair for family in families for pair in family.pairs)
    return next((pair.parameters for pair in pairs if name in (pair.base, pair.instruct)), None)


def lab_names() -> list[str]:
    """The lab's models: a base and its instruct sibling per family."""
    from pipeline import plugins

    return [f"lab/{family}{suffix}" for family in plugins.names("families") for suffix in ("-base", "")]


def first_line(error: BaseException) -> str:
    """An error's message, shortened to its first line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
