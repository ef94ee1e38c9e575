"""Where things lie, how files are written so that a crash never leaves half of one, and digests of plain data."""

from __future__ import annotations

import hashlib
import json
import math
import os
import secrets
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import BaseModel

from pipeline.errors import InputError

PACKAGE = Path(__file__).resolve().parent


def home() -> Path:
    """The cache folder of labs, rows and measurements: POSTTRAIN_HOME, else the platform's. It may not exist yet."""
    chosen = os.environ.get("POSTTRAIN_HOME")
    return Path(chosen).expanduser().absolute() if chosen else Path(platformdirs.user_cache_dir("posttrain"))


def share(kind: Literal["recipes", "evals"]) -> Path:
    """The folder of shipped recipes or benchmarks: the checkout's own, or the copy that a wheel carries."""
    checkout, packaged = PACKAGE.parent / kind, PACKAGE / "_share" / kind
    in_checkout = (PACKAGE.parent / "pyproject.toml").is_file()
    return packaged if packaged.is_dir() and not in_checkout else checkout


def check_writable(folder: Path, called: str) -> None:
    """Raises InputError, beginning with `called`, unless `folder` can be made, or written in if it is there.

    It tries in the nearest part that exists, and leaves nothing: what the permissions say is not so in /proc, nor to
    root. The name tried is a new one, as another command may be about to make the same folder.
    """
    nearest = next(part for part in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(part))
    try:
        os.rmdir(tempfile.mkdtemp(prefix=".posttrain-", dir=nearest))
    except OSError as error:
        raise InputError(f"{called}: {nearest} cannot be written in ({error.strerror}): name another folder") from None


def plain(value: Any) -> Any:
    """`value` as what strict JSON can hold: models become dicts, tuples lists, paths text, NaN and infinities null.

    Raises TypeError for anything else, dict keys that are not text included.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, BaseModel):
        return plain(value.model_dump())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"cannot be written as JSON: {type(value).__name__}")


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a JSON object's key must be text, not {type(key).__name__}: {key!r}")
    return key


def write_atomic(path: str | Path, content: str | bytes, mode: int = 0o666) -> None:
    """Write a whole file or nothing, creating its folder: a temporary sibling, fsync, rename.

    `mode` is reduced by the umask; 0o600 keeps the file to its owner from its first byte on.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    data = content.encode() if isinstance(content, str) else content
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make a new name in `folder` survive a power cut, where the platform can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: str | Path, value: Any, mode: int = 0o666) -> None:
    """Write `value` (see `plain`) as indented JSON, atomically."""
    write_atomic(path, json.dumps(plain(value), indent=2, allow_nan=False) + "\n", mode)


def read_json(path: str | Path) -> Any:
    """The value in a JSON file. Raises FileNotFoundError; InputError naming file and line if it is not JSON."""
    return _parse(Path(path).read_bytes(), f"{path}", 1)


def write_jsonl(path: str | Path, rows: Iterable[Any], mode: int = 0o666) -> None:
    """Write one JSON value per line, atomically."""
    lines = [json.dumps(plain(row), allow_nan=False) + "\n" for row in rows]
    write_atomic(path, "".join(lines), mode)


def read_jsonl(path: str | Path) -> list[dict[str, Any]]:
    """The rows of a JSON Lines file, empty lines left out. Raises as `read_json`; every row must be an object."""
    rows = []
    for number, line in enumerate(Path(path).read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        row = _parse(line, f"{path}", number)
        if not isinstance(row, dict):
            raise InputError(f"{path}, line {number}: a JSON object is needed, found {type(row).__name__}")
        rows.append(row)
    return rows


def _parse(data: bytes, path: str, first_line: int) -> Any:
    try:
        return json.loads(data)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise InputError(f"{path}, line {line}: not JSON ({error.msg}): correct or remove it") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text: save it as UTF-8") from None


def digest(value: Any) -> str:
    """16 hex digits that stand for `value`: the start of SHA-256 over canonical JSON, the same in every process.

    Raises TypeError for what has no stable form: sets, objects, bytes, keys that are not text, NaN, infinities.
    """
    _refuse_unstable(value, "value")
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _refuse_unstable(value: Any, where: str) -> None:
    # exact types: a subclass of str or int (an Enum, say) may print differently from one version to the next
    if value is None or type(value) in (str, bool, int):
        return
    if type(value) is float and math.isfinite(value):
        return
    if type(value) in (list, tuple):
        for index, item in enumerate(value):
            _refuse_unstable(item, f"{where}[{index}]")
    elif type(value) is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise TypeError(f"{where}: no stable digest of a dict with the key {key!r}: keys must be text")
            _refuse_unstable(item, f"{where}[{key!r}]")
    else:
        raise TypeError(f"{where}: no stable digest of {value!r} ({type(value).__name__})")
