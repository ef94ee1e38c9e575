"""The files that a result rests on are the same at the end as at the start: code, benchmarks, catalogue, models, salt.

`seal` takes their fingerprints into DIR/sealed/files.json, `on_finish` compares. Covered are this package's files,
evals/, recipes/data/, lm-eval's version and code (its bundled tasks are not used), the model folders, and what lies in
DIR/sealed/ at the start, and the files elsewhere that items and rows are read from (the local copies of data sets below
POSTTRAIN_DATA_ROOT). What this detects: any change of a file up to 64 MiB. Of a larger one (weights): another size
or time of writing, or a change within 64 sampled blocks at secret places, the first and last among them; who edits
elsewhere *and* sets the time back is not seen. Nor are installed libraries other than lm-eval, compiled `.pyc` files,
or a file changed and changed back in between.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import random
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.paths import PACKAGE, digest, read_json, share, write_json
from pipeline.types import Verdict

WHOLE = 64 * 2**20  # bytes up to which a file is hashed as a whole: tenths of a second
BLOCKS = 64
BLOCK = 64 * 2**10  # bytes; 64 of them are read in hundredths of a second
NAMED = 5  # changed files in the reason
_SEALED = "sealed"
BENCHMARK = "benchmark"  # among the folders: the user's own, which does not lie in evals/
FILE = "file "  # before the path of a single file among them
_MANIFEST = "files.json"


def seal(run_folder: Path, models: Mapping[str, Path]) -> str:
    """Take the fingerprints at the start of a run, once its salt is written; return the digest of all of them.

    `models` are folders by what they are: `base`, `instruct`, and `benchmark` where it is one of the user's own; and
    single files, by `file PATH`. A model that is no folder (a Hub id) is not covered.
    Keep the digest where the run is recorded and give it to `on_finish`: it shows an exchanged manifest.
    """
    secret = secrets.token_hex(8)
    folders = {role: str(Path(path).resolve()) for role, path in models.items() if Path(path).exists()}
    manifest = {"secret": secret, "models": folders, "files": _take(run_folder, folders, secret)}
    write_json(run_folder / _SEALED / _MANIFEST, manifest, mode=0o600)
    return digest(manifest)


def on_finish(run_folder: Path, sealed: str | None = None) -> Verdict:
    """Whether all files are as `seal` found them; `sealed` is the digest that it returned. Names what changed."""
    path = run_folder / _SEALED / _MANIFEST
    try:
        manifest = read_json(path)
        before, secret, models = manifest["files"], manifest["secret"], manifest["models"]
    except (OSError, InputError, KeyError, TypeError) as error:
        return _verdict([f"{path.name}: the fingerprints of the start cannot be read ({type(error).__name__})"])
    if sealed is not None and digest(manifest) != sealed:
        return _verdict([f"{path.name}: not the fingerprints that were taken at the start"])
    return _verdict(list(_differences(before, _take(run_folder, models, secret))))


def _verdict(changes: list[str]) -> Verdict:
    shown = ", ".join(changes[:NAMED]) + (f" and {len(changes) - NAMED} more" if len(changes) > NAMED else "")
    reason = f"since the start of the run: {shown}" if changes else ""
    return Verdict(guard="files", ok=not changes, reason=reason, evidence=tuple(changes))


def _differences(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(before):
        if name not in after:
            yield f"{name} was removed"
        elif before[name] != after[name]:
            yield f"{name} was changed"
    # a new file takes effect only beside known ones: a benchmark that a user adds meanwhile is no harm
    folders = {name.rpartition("/")[0] for name in before if not name.startswith(FILE)} - {_SEALED}
    for name in sorted(after.keys() - before.keys()):
        if name.rpartition("/")[0] in folders:
            yield f"{name} was added"


def _take(run_folder: Path, models: Mapping[str, str], secret: str) -> dict[str, str]:
    """Name -> fingerprint of everything that matters."""
    roots: dict[str, Path] = {
        "pipeline": PACKAGE,
        "evals": share("evals"),
        "recipes/data": share("recipes") / "data",
        **{role if _is_plain(role) else f"model {role}": Path(path) for role, path in models.items()},
        _SEALED: run_folder / _SEALED,
    }
    found = {
        f"{label}/{path.relative_to(root).as_posix()}" if path != root else label: fingerprint(path, secret)
        for label, root in roots.items()
        for path in _files(root)
    }
    found.pop(f"{_SEALED}/{_MANIFEST}", None)
    return {**found, **_harness(secret)}


def _is_plain(role: str) -> bool:
    """Whether a file is named by what it is alone: no model's."""
    return role == BENCHMARK or role.startswith(FILE)


def _files(root: Path) -> Iterator[Path]:
    if root.is_file():
        yield root
        return
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        hidden = any(part.startswith(".") or part in ("__pycache__", "_share") for part in parts)
        if not hidden and path.is_file():
            yield path


def _harness(secret: str) -> dict[str, str]:
    """lm-eval's version and code, found without importing it."""
    spec = importlib.util.find_spec("lm_eval")
    if spec is None or spec.origin is None:
        return {}
    root = Path(spec.origin).parent
    parts = [part for part in root.iterdir() if part.is_dir() and part.name != "tasks"]  # thousands of YAML files
    code = [*root.glob("*.py"), *root.glob("tasks/*.py"), *(path for part in parts for path in part.rglob("*.py"))]
    found = {f"lm_eval/{path.relative_to(root).as_posix()}": fingerprint(path, secret) for path in code}
    return {"lm_eval version": importlib.metadata.version("lm_eval"), **found}


def fingerprint(path: Path, secret: str) -> str:
    """A file's fingerprint: its hash, or, above 64 MiB, size, time of writing and the hash of sampled blocks."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if size <= WHOLE:
                return f"sha256 {hashlib.file_digest(file, 'sha256').hexdigest()}"
            return f"sampled {size} {path.stat().st_mtime_ns} {_sampled(file, size, secret)}"
    except OSError as error:
        return f"unreadable {error.errno}"


def _sampled(file: Any, size: int, secret: str) -> str:
    places = random.Random(f"{secret}/{size}").sample(range(size - BLOCK), BLOCKS - 2)
    hashed = hashlib.sha256()
    for place in sorted({0, size - BLOCK, *places}):
        file.seek(place)
        hashed.update(file.read(BLOCK))
    return hashed.hexdigest()
