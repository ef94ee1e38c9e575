"""A model's name becomes a folder: a lab model is built, a Hub id is fetched, a local folder is taken as it is.

Everything below the command line and the Session sees only folders.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline import chat, dressing
from pipeline.errors import InputError
from pipeline.types import Benchmark

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
Progress = Callable[..., None]  # (what, share done, seconds left), as `console.Progress`
MODEL_FILES = ("config.json", "adapter_config.json")  # a whole model, or a PEFT adapter
WEIGHTS = ("*.safetensors", "*.bin")


def address(name: str, benchmark: Benchmark) -> str:
    """The name under which `resolve` finds the model that is meant where a benchmark is: of a lab's, which lab."""
    if not name.startswith("lab/"):
        return name
    from pipeline import lab

    return lab.address(name, benchmark)


def check(name: str) -> None:
    """Raises InputError if `name` cannot be a model; builds and fetches nothing."""
    if name.startswith("lab/"):
        known = lab_names()
        model, _, part = name.partition("@")
        if model not in known:
            from pipeline.errors import unknown

            raise unknown("lab model", model, known)
        if part:
            from pipeline.lab.scale import scale

            scale(part)
    elif name and Path(name).expanduser().is_dir():
        folder = Path(name).expanduser()
        if not any((folder / file).is_file() for file in MODEL_FILES):
            files = " nor ".join(MODEL_FILES)
            raise InputError(f"model '{name}': the folder holds neither {files}; name a model's folder")
        if not any(True for pattern in WEIGHTS for _ in folder.glob(pattern)):
            raise InputError(f"model '{name}': the folder has no weights ({' or '.join(WEIGHTS)}); is it complete?")
    elif name.startswith((".", "/", "~")) or not HUB_ID.fullmatch(name):
        raise InputError(
            f"unknown model '{name}': no such folder, and neither a Hub id (OWNER/NAME) nor a lab model; "
            f"lab models are {', '.join(lab_names())}"
        )


def resolve(name: str, lab_seed: int = 0, progress: Progress | None = None, base: Path | None = None) -> Path:
    """The folder of a model, built or fetched if need be; `progress` is told of the building.

    An adapter's base is found, too: the folder or model that its configuration names, else `base`. Raises InputError
    for a name that leads nowhere, and for a Hub id that cannot be fetched.
    """
    check(name)
    if name.startswith("lab/"):
        from pipeline import lab

        return lab.resolve(name, lab_seed, **({"progress": progress} if progress else {}))
    folder = Path(name).expanduser()
    found = folder.resolve() if folder.is_dir() else fetch(name)
    return _on_its_base(found, lab_seed, progress, base)


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


def fetch(hub_id: str) -> Path:
    """The folder of a Hub model's snapshot in the Hub's own cache, downloaded if it is not there."""
    import huggingface_hub
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, RepositoryNotFoundError

    try:
        return Path(huggingface_hub.snapshot_download(hub_id))
    except (HFValidationError, RepositoryNotFoundError):
        hint = "no such folder here and no such model on the Hub; check the name"
    except GatedRepoError:
        hint = "it is gated; accept its terms on the Hub and log in with `hf auth login`"
    except (HfHubHTTPError, OSError, ValueError) as error:
        hint = f"the Hub cannot be reached ({first_line(error)}); check the network, or name a folder or a lab model"
    raise InputError(f"model '{hub_id}': {hint}")


def sibling(base: str) -> str | None:
    """The instruct-tuned sibling of a base model, where its family or the lab names one."""
    from pipeline import plugins

    if base.startswith("lab/"):
        model, at, part = base.partition("@")
        return model.removesuffix("-base") + at + part if model.endswith("-base") else None
    families = [plugins.load("families", name).FAMILY for name in plugins.names("families")]
    return next((pair.instruct for family in families for pair in family.pairs if pair.base == base), None)


def lab_names() -> list[str]:
    """The lab's models: a base and its instruct sibling per family."""
    from pipeline import plugins

    return [f"lab/{family}{suffix}" for family in plugins.names("families") for suffix in ("-base", "")]


def first_line(error: BaseException) -> str:
    """An error's message, shortened to its first line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
