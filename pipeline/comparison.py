"""An agent against control arms: the same budget for each agent and seed, and what the agent brings beyond the others.

`DIR/comparison.json` says what is compared; every run is an ordinary one in `DIR/arms/AGENT-SEED/`. All are scored on
the same final items, which the salt in `DIR/sealed/` selects, so that they pair and their anchors are measured once.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline import arms, asking, opening, report, reproduce
from pipeline.arms import Arm
from pipeline.asking import Asked, Resolve
from pipeline.errors import InputError
from pipeline.lock import refuse_owned
from pipeline.paths import read_json, write_json
from pipeline.reporting.controls import COMPARISON_FILE
from pipeline.reproduce import Watching
from pipeline.types import Record

SEALED_WITH = f"../../{opening.SEALED}"  # from an arm's folder


class Comparison(Record):
    """What is compared: `asked` is the agent's run with the first seed; `controls` may be empty."""

    asked: Asked
    controls: tuple[str, ...] = ()
    seeds: tuple[int, ...]

    def arms(self, folder: Path) -> list[Arm]:
        """All runs in the order in which they are made: by seed, so that what pairs is run close together."""
        agents = (str(self.asked.agent), *self.controls)
        return [arms.arm(self.asked, agent, seed, folder) for seed in self.seeds for agent in agents]


def check(compared: Comparison) -> None:
    """Raises InputError, before anything is built, if a name is wrong or an agent would be compared with itself."""
    agent = str(compared.asked.agent)
    if agent in compared.controls:
        raise InputError(f"--control {agent}: is the agent itself: name others, such as random")
    if len(set(compared.controls)) < len(compared.controls):
        raise InputError(f"--control {', '.join(compared.controls)}: name every control once")
    for name in (agent, *compared.controls):
        asking.check(arms.arm(compared.asked, name, 0, Path()).asked)
    arms.refuse_shared(compared.arms(Path()))


def run(compared: Comparison, folder: Path, watching: Watching, resolve: Resolve) -> dict[str, Any]:
    """Run all arms in a new folder; returns the comparison's report."""
    check(compared)
    folder.mkdir(parents=True, exist_ok=True)
    planned = [
        {"agent": arm.asked.agent, "seed": arm.asked.seed, "folder": str(arm.folder.relative_to(folder))}
        for arm in compared.arms(folder)
    ]
    told = {"agent": compared.asked.agent, "controls": compared.controls, "seeds": compared.seeds}
    write_json(folder / COMPARISON_FILE, {"schema": 1, **told, "runs": planned, "asked": compared.asked})
    return resume(folder, watching, resolve)


def resume(folder: Path, watching: Watching, resolve: Resolve) -> dict[str, Any]:
    """Do what is left: finished runs are kept, an interrupted one goes on, the others start."""
    compared = read(folder)
    planned = compared.arms(folder)
    opening.seal(folder / opening.SEALED)
    for arm in planned:
        if reproduce.is_finished(arm.folder):
            continue
        watch = watching(arm.name)
        if (arm.folder / "run.json").is_file():
            reproduce.resume(arm.folder, watch)
            continue
        _clear(arm.folder)
        reproduce.run(arm.asked, arm.folder, watch, resolve, SEALED_WITH)
    _hand_over(folder, report.document(folder)["final_model"])
    for arm in planned:
        if arm.asked.agent not in compared.controls:
            report.write_report(arm.folder)  # it tells of its controls, which are only now finished
    return report.write_report(folder)


def read(folder: Path) -> Comparison:
    """What a folder compares. Raises InputError if it cannot be read."""
    try:
        return Comparison.model_validate(read_json(folder / COMPARISON_FILE))
    except ValidationError as error:
        what = " ".join(str(error).split())[:200]
        raise InputError(f"{folder / COMPARISON_FILE}: not readable ({what}): restore it, or start another") from None


def is_comparison(folder: Path) -> bool:
    """Whether a folder holds an agent with its control arms."""
    return (folder / COMPARISON_FILE).is_file()


def _clear(folder: Path) -> None:
    """Remove what a start left that ended before its run was described: nothing was tried yet."""
    if folder.is_dir():
        refuse_owned(folder)
        shutil.rmtree(folder)


def _hand_over(folder: Path, chosen: dict[str, Any] | None) -> None:
    """`final_model` is the one of the agent's best run, by search score: a link, as weights are big."""
    link = folder / "final_model"
    if chosen is None or (link.exists() and not link.is_symlink()):
        return
    with contextlib.suppress(OSError):  # where there are no links, the report names the folder
        link.unlink(missing_ok=True)
        link.symlink_to(chosen["folder"], target_is_directory=True)
