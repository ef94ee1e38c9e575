"""`bench agents`: agents on the same seeds, each an ordinary run; seed by seed, so that arms pair in time, too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline import arms, asking, reproduce
from pipeline.arms import Arm
from pipeline.asking import Asked, Resolve
from pipeline.bench import agents_table, results
from pipeline.bench.memory import PeakMemory
from pipeline.errors import InputError
from pipeline.ledger import Ledger
from pipeline.paths import read_json, write_json
from pipeline.reproduce import Watching
from pipeline.request import RunRequest, read_run

KIND = "agents"
MEASURED = "measured.json"  # in a run's folder: what the run itself does not record
State = Literal["new", "finished", "goes on", "interrupted"]


@dataclass(frozen=True)
class Plan:
    """What is compared: `cells` say model, benchmark and budget, the arms are every agent with every seed."""

    out: Path
    cells: tuple[Asked, ...]
    agents: tuple[str, ...]
    seeds: tuple[int, ...]

    def place(self, cell: Asked) -> Path:
        """The folder of a cell: `out` itself if there is only one."""
        return self.out if len(self.cells) == 1 else self.out / reproduce.cell_name(cell)

    def arm(self, cell: Asked, agent: str, seed: int) -> Arm:
        """One of the runs."""
        return arms.arm(cell, agent, seed, self.place(cell))

    def arms(self) -> Iterator[Arm]:
        """All runs in the order in which they are made."""
        for seed in self.seeds:
            for cell in self.cells:
                for agent in self.agents:
                    yield self.arm(cell, agent, seed)


def run(plan: Plan, watching: Watching, resolve: Resolve) -> results.Document:
    """Do what is left of a plan and return its table, which is written after every run.

    Finished runs are kept. One that was interrupted within its budget is set aside and done again: what it did in two
    sittings compares with nobody's one. Raises InputError before anything is run if a name is wrong, or if a run in
    the folder was asked for differently.
    """
    check(plan)
    results.claim(plan.out, KIND)
    document = write(plan)
    for arm in plan.arms():
        if do(arm, watching, resolve):
            document = write(plan)
    return document


def write(plan: Plan) -> results.Document:
    """The table of what is there."""
    runs = {
        cell: [agents_table.run_row(arm.asked, arm.folder, plan.out) for arm in plan.arms() if _is_of(arm, cell)]
        for cell in map(reproduce.cell_name, plan.cells)
    }
    document = agents_table.document(plan.cells, plan.agents, plan.seeds, runs)
    return results.write(plan.out, document, agents_table.page)


def _is_of(arm: Arm, cell: str) -> bool:
    return reproduce.cell_name(arm.asked) == cell


def check(plan: Plan) -> None:
    """Raises InputError: a name is wrong, two arms share a folder, or a run that is there is not the one asked for."""
    planned = list(plan.arms())
    arms.refuse_shared(planned)
    for cell in plan.cells:
        for agent in plan.agents:
            asking.check(cell.model_copy(update={"agent": agent}))
    there = [arm for arm in planned if (arm.folder / "run.json").is_file()]
    all_done = len(there) == len(planned) and all(reproduce.is_finished(arm.folder) for arm in there)
    for arm in there:
        request = read_run(arm.folder)[0]
        _compare(arm, request)
        if not all_done:
            results.refuse_other_lab(arm.folder, request)


def _compare(arm: Arm, found: RunRequest) -> None:
    asked = arm.asked
    for name in ("model", "benchmark", "agent", "seed", "lab_seed", "slots", "executor"):
        there, wanted = getattr(found, name), getattr(asked, name)
        if there != wanted:
            raise InputError(f"{arm.folder}: was run with {name} {there}, not {wanted}: name a new folder for --out")
    if found.budget != asked.budget:
        told = f"{found.budget.seconds:g} s" if found.budget.seconds else "another budget"
        raise InputError(f"{arm.folder}: was run with a budget of {told}, not this one: name a new folder for --out")
    if found.recipe != asking.check(asked):
        raise InputError(f"{arm.folder}: was run with another recipe: name a new folder for --out")


def do(arm: Arm, watching: Watching, resolve: Resolve) -> bool:
    """Bring one run to its end; False if it was there already."""
    state = state_of(arm.folder)
    if state == "finished":
        return False
    watch = watching(arm.name)
    if state == "interrupted":
        results.set_aside(arm.folder)
    with PeakMemory() as memory:
        if state == "goes on":
            reproduce.resume(arm.folder, watch)
        else:
            reproduce.run(arm.asked, arm.folder, watch, resolve)
    path = arm.folder / MEASURED
    before = read_json(path)["peak_memory_bytes"] if path.is_file() else 0
    write_json(path, {"peak_memory_bytes": max(before, memory.peak_bytes)})
    return True


def state_of(folder: Path) -> State:
    """What is there of a run. It `goes on` where only what lies outside the budget is left or was done."""
    if not folder.exists() or not any(folder.iterdir()):
        return "new"
    if not (folder / "run.json").is_file():
        return "interrupted"
    if reproduce.is_finished(folder):
        return "finished"
    notes = [event for event in Ledger(folder / "ledger.jsonl").events() if event["kind"] == "note"]
    has_ended = any(note.get("note") == "search_ended" for note in notes)
    has_begun = any(note.get("note") == "clock" and note.get("state") == "runs" for note in notes)
    return "goes on" if has_ended or not has_begun else "interrupted"
