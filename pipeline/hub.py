"""Rows of data sets on the Hub, or of a local copy where POSTTRAIN_DATA_ROOT names a folder of copies."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from pydantic import Field

from pipeline import rowfiles
from pipeline.errors import DataError
from pipeline.types import Strict

Row = dict[str, Any]
ROOT = "POSTTRAIN_DATA_ROOT"


class HubSet(Strict):
    """A data set. A `revision` (a commit) makes a run repeatable; `rows` takes the first ones only.

    `copy_file` is its place below POSTTRAIN_DATA_ROOT; `data_file` picks a file of the repository where it has no
    loadable splits.
    """

    id: str
    subset: str | None = None
    split: str = "train"
    revision: str | None = None
    rows: int | None = Field(default=None, ge=1)
    data_file: str | None = None
    copy_file: str | None = None
    gated: bool = False


def local_copy(wanted: HubSet) -> Path | None:
    """The local copy that stands for a data set; None where POSTTRAIN_DATA_ROOT is not set."""
    root = os.environ.get(ROOT)
    return Path(root).expanduser() / (wanted.copy_file or wanted.id) if root else None


def is_pinned(wanted: HubSet) -> bool:
    """Whether a data set cannot change on the Hub: a branch or a tag may move, a commit does not."""
    return bool(wanted.revision and re.fullmatch(r"[0-9a-f]{40}", wanted.revision))


def hub_rows(who: str, wanted: HubSet) -> list[Row]:
    """All rows of a data set, from its local copy or the Hub. Raises DataError: one line that names `who` reads it."""
    copy = local_copy(wanted)
    if copy is not None:
        if not copy.is_file():
            what = f"{wanted.data_file} of {wanted.id}" if wanted.data_file else wanted.id
            raise DataError(f"{who}: {copy} is missing: put a copy of {what} there, or unset {ROOT}")
        return rowfiles.read_rows(copy)[: wanted.rows]
    import datasets  # a second to import, and only Hub sources need it

    split = wanted.split if wanted.rows is None else f"{wanted.split}[:{wanted.rows}]"
    try:
        found = datasets.load_dataset(
            wanted.id, name=wanted.subset, split=split, revision=wanted.revision, data_files=wanted.data_file
        )
    except Exception as error:  # the library's errors share no base: each means that the set cannot be read
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        access = (
            "it is gated: accept its terms on the Hub and log in with `hf auth login`"
            if wanted.gated
            else "check its name, your connection and, if it is gated, `hf auth login`"
        )
        raise DataError(f"{who}: the Hub data set {wanted.id} cannot be read ({reason}): {access}") from None
    if not len(found):
        raise DataError(f"{who}: the Hub data set {wanted.id} has no rows in split {split}")
    return list(found)
