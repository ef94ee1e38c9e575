"""`bench landscape`: what there is to find. Sources alone, mixtures and random recipes, all of one length in tokens.

The recipes of a cell are proposed like an agent's, as a function of the run's history: started again, it goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from pipeline import asking, plugins, reproduce
from pipeline.asking import Asked, Resolve
from pipeline.bench import landscape_table, results
from pipeline.clock import wall
from pipeline.contracts import Executor
from pipeline.errors import InputError
from pipeline.recipe import apply_changes
from pipeline.reproduce import Watching
from pipeline.request import RunRequest, read_run
from pipeline.session import Session
from pipeline.types import Brief, Budget, Proposal, Recipe, Trial

KIND = "landscape"
DATA, TOKENS = "stages.0.data", "stages.0.params.tokens"
MOST_SOURCES = 3  # in a mixture that is looked for
MOST_DRAWS = 10  # per random recipe that is wanted; refused ones do not count
Mixture = tuple[str, ...]  # names of sources, in equal parts


@dataclass(frozen=True)
class Plan:
    """What is surveyed. `tokens` None is the benchmark's recipe's own length; a cell's seed draws random recipes."""

    out: Path
    cells: tuple[Asked, ...]
    random: int = 30
    tokens: int | None = None
    reveal: bool = False  # name the roles of the lab's sources in the table

    def folder(self, cell: Asked) -> Path:
        """The cell's run."""
        return self.out / reproduce.cell_name(cell)


class Surveyor:
    """Proposes every source alone, pairs of the best with each other one, triples of the best pair, random recipes.

    A pure function of the history, as agents are; where the next mixture hangs on a pending trial, random ones come
    forward.
    """

    def __init__(self, brief: Brief, random: int, seed: int) -> None:
        self.brief, self.random = brief, random
        self.sources = brief.space[DATA].choices
        self.drawer = plugins.entry("agents", "random")(brief.model_copy(update={"budget": Budget()}), seed)

    def propose(self, history: Sequence[Trial], remaining: Budget) -> Proposal | None:
        """The next recipe; None where the rest hangs on pending trials, or nothing is left."""
        tried = landscape_table.surveyed(history)
        for mixture in self._mixtures(tried):
            if landscape_table.label(mixture) not in tried:
                data = [{"name": name, "weight": 1.0} for name in mixture]
                return self._named(landscape_table.label(mixture), {DATA: data})
        return self._draw(tried)

    def _mixtures(self, tried: dict[str, Trial]) -> list[Mixture]:
        """All mixtures that the results so far ask for."""
        level: list[Mixture] = [(name,) for name in self.sources]
        found = list(level)
        while len(level[0]) < MOST_SOURCES and (best := self._best(level, tried)):
            usable = [name for name in self.sources if tried[name].state != "rejected" and name not in best]
            level = [tuple(sorted((*best, name))) for name in usable]
            if not level:
                break
            found += level
        return found

    def _best(self, level: Sequence[Mixture], tried: dict[str, Trial]) -> Mixture | None:
        """The best of mixtures that have all ended; the first of equals."""
        ended = {mixture: tried.get(landscape_table.label(mixture)) for mixture in level}
        if any(trial is None or trial.state == "pending" for trial in ended.values()):
            return None
        scored = {mixture: trial.score.value for mixture, trial in ended.items() if trial and trial.score}
        return max(scored, key=lambda mixture: scored[mixture]) if scored else None

    def _draw(self, tried: dict[str, Trial]) -> Proposal | None:
        """A random recipe, as the random agent would draw it, as long as there are too few that no guard refused."""
        drawn = {name: trial for name, trial in tried.items() if name.startswith(landscape_table.RANDOM)}
        wanted = sum(trial.state != "rejected" for trial in drawn.values()) < self.random
        number = next(number for number in count() if f"{landscape_table.RANDOM}{number}" not in drawn)
        if not wanted or number >= MOST_DRAWS * self.random:
            return None
        stand_ins = [Trial(id=f"draw-{before}") for before in range(number)]  # its draw depends on their number
        return self._named(f"{landscape_table.RANDOM}{number}", self.drawer.propose(stand_ins, Budget()).changes)

    def _named(self, name: str, changes: dict[str, Any]) -> Proposal:
        return Proposal(changes=changes, rationale=name, author=landscape_table.AUTHOR)


# ---------------------------------------------------------------- running


def run(plan: Plan, watching: Watching, resolve: Resolve) -> results.Document:
    """Do what is left of a plan; returns its table, which is written after every trial.

    Raises InputError before anything is run if a name is wrong, or if the folder holds another survey.
    """
    check(plan)
    results.claim(plan.out, KIND)
    document = write(plan)
    for cell in plan.cells:
        with opened(plan, cell, resolve) as session:
            session.on_event = watching(reproduce.cell_name(cell))
            document = survey(session, plan.random, lambda: write(plan))
    return document


def write(plan: Plan) -> results.Document:
    """The table of what is there."""
    cells = [landscape_table.cell(cell, plan.folder(cell), plan.random, plan.reveal) for cell in plan.cells]
    return results.write(plan.out, landscape_table.document(plan.cells, plan.random, cells), landscape_table.page)


def survey(session: Session, random: int, after: Callable[[], results.Document]) -> results.Document:
    """All trials of a cell that are not there yet; `after` is called after each."""
    session.begin()
    surveyor = Surveyor(session.brief(), random, session.request.seed)
    while True:
        while session.has_room() and (proposal := surveyor.propose(session.history(), session.remaining())):
            session.start(proposal)
        if session.wait() is None:
            return after()
        after()


def check(plan: Plan) -> None:
    """Raises InputError: a name is wrong, a recipe has no length in tokens, a run that is there is another one."""
    for cell in plan.cells:
        recipe = of_length(asking.check(cell), plan.tokens)
        if (plan.folder(cell) / "run.json").is_file():
            _compare(cell, recipe, plan.folder(cell))


def _compare(cell: Asked, recipe: Recipe, folder: Path) -> None:
    found = read_run(folder)[0]
    for name, wanted in {**dict(cell), "recipe": recipe}.items():
        if name in ("model", "benchmark", "seed", "lab_seed", "slots", "recipe") and getattr(found, name) != wanted:
            told = "another recipe or length" if name == "recipe" else f"{name} {getattr(found, name)}, not {wanted}"
            raise InputError(f"{folder}: was surveyed with {told}: name a new folder for --out")
    results.refuse_other_lab(folder, found)


def of_length(recipe: Recipe, tokens: int | None) -> Recipe:
    """The recipe, `tokens` long. Raises InputError if it is not a single stage or its length is not in tokens."""
    if len(recipe.stages) != 1:
        raise InputError(f"the benchmark's recipe has {len(recipe.stages)} stages: a landscape is surveyed with one")
    changed = apply_changes(recipe, {TOKENS: tokens} if tokens is not None else {})
    if changed.stages[0].params.get("tokens") is None:
        raise InputError("the benchmark's recipe gives no length in tokens: give one with --tokens")
    return changed


def opened(
    plan: Plan, cell: Asked, resolve: Resolve, executor: Executor | None = None, now: Callable[[], float] = wall
) -> Session:
    """The cell's run, new or taken up again; without a budget, because the survey has an end of its own."""
    folder = plan.folder(cell)
    if (folder / "run.json").is_file():
        _restore_models(folder, resolve)
        return Session.resume(folder, executor=executor, now=now)
    if folder.exists() and any(folder.iterdir()):  # it ended while it was made
        results.set_aside(folder)
    return Session.open(folder, request_of(cell, plan.tokens, resolve), executor, now)


def _restore_models(folder: Path, resolve: Resolve) -> None:
    """Build or fetch a run's models again if the cache was cleared since. Raises InputError if they are others now."""
    request = read_run(folder)[0]
    for name, path in ((request.model, request.model_path), (request.instruct, request.instruct_path)):
        if name and path and not Path(path).is_dir() and resolve(name, request.lab_seed) != Path(path):
            raise InputError(f"{folder}: {name} was {path}, which is gone, and is another one now: name a new folder")


def request_of(cell: Asked, tokens: int | None, resolve: Resolve) -> RunRequest:
    """A run without an agent; of the weights only the best ones stay."""
    request = asking.to_request(cell, resolve)
    recipe = of_length(request.recipe, tokens)
    return request.model_copy(update={"recipe": recipe, "keep_best": 1, "keep_open": 0})
