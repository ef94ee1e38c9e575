"""Being the agent in a PostTrainBench task folder: search in the time that is left, leave `final_model/`.

The folder's evaluate.py scores, through the program scorer; rows are rendered with its template for the model's family.
All that is written lies in the folder: `final_model/`, and `posttrain/` with the run and the cache. From the first
minute on there is a final model, the base's copy, replaced as a whole whenever a trial is better.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline import asking, dressing, evaluations, finish, handover, models, report, reproduce, search, taskfolder
from pipeline.asking import Asked
from pipeline.clock import wall
from pipeline.errors import InputError, PosttrainError
from pipeline.request import RUN_FILE, News
from pipeline.session import Session
from pipeline.taskfolder import FINAL_MODEL, Task
from pipeline.types import Budget, Program, Record

PLACE = "posttrain"  # in the task folder: runs, and the cache where POSTTRAIN_HOME names no other
MARGIN_SHARE, LEAST_MARGIN_SECONDS, MOST_MARGIN_SHARE = 0.02, 60.0, 0.25  # of the time left: kept free for saving
LEAST_SECONDS = 20.0  # of search: with less the base is all there can be
SCORE_SHARE, MOST_SCORE_SECONDS = 0.25, 3600.0  # of the time left that one call of evaluate.py may take
UNKNOWN = "?"
Watch = Callable[[News], None]


class Wanted(Record):
    """What a user may say beside what the folder says."""

    folder: str
    model: str | None = None
    benchmark: str | None = None
    agent: str = "asha"
    seed: int = 0
    budget_seconds: float | None = None  # at most; None: what the timer says
    margin_seconds: float | None = None
    limit: int | None = None  # items of evaluate.py; None: its own default
    metric: str = ""
    recipe: str | None = None
    data: tuple[str, ...] | None = None
    executor: str = "local"


class Entered(Record):
    """What came of it. `run` is None where the time sufficed for the base only."""

    final_model: str
    trial: str | None = None  # whose weights these are; None: the base's
    score: float | None = None
    base: float | None = None
    run: str | None = None
    why: str = ""
    flagged: bool = False


def enter(wanted: Wanted, watch: Watch, resolve: asking.Resolve = models.resolve) -> Entered:
    """Do all of it. Raises InputError if the folder is no task folder, or does not say what it is about.

    What goes wrong later leaves the best final model so far in its place.
    """
    begun, task = wall(), taskfolder.read(wanted.folder)
    left = _seconds_left(wanted, task, watch)
    margin = _margin(left) if wanted.margin_seconds is None else wanted.margin_seconds
    asked = _asked(wanted, task, left, begun + left - margin)
    asking.check(asked)
    target, base = Path(task.folder) / FINAL_MODEL, resolve(asked.model, asked.lab_seed)
    if not (target / "config.json").is_file():
        handover.copy(base, target)
        _say(watch, f"{target}: the base, for the time being")
    if asked.deadline is None or asked.deadline - wall() < LEAST_SECONDS:
        why = f"{left:.0f} s were left, {margin:.0f} of them for saving: too few for a search"
        return Entered(final_model=str(target), why=why)
    folder, is_begun = _run_folder(Path(task.folder) / PLACE)
    if is_begun:
        session = Session.resume(folder)
    else:
        request = asking.to_request(asked, lambda name, seed: _rendering(resolve(name, seed), task, watch))
        session = Session.open(folder, request)
    with session:
        return Entry(session, base, target, watch).run()


# ---------------------------------------------------------------- what is asked for


def _seconds_left(wanted: Wanted, task: Task, watch: Watch) -> float:
    """By the timer, at most what the user gives; where it tells nothing the user's, else the prompt's from now on."""
    most = wanted.budget_seconds
    try:
        left = taskfolder.seconds_left(task.folder)
        return left if most is None else min(left, most)
    except taskfolder.NoTime as error:
        if most is None and task.hours is None:
            raise
        seconds = most if most is not None else (task.hours or 0.0) * 3600
        _say(
            watch, f"{error}; going by {'--budget' if most is not None else 'the prompt'}: {seconds:.0f} s from now on"
        )
        return seconds


def _margin(left: float) -> float:
    return min(max(LEAST_MARGIN_SECONDS, MARGIN_SHARE * left), MOST_MARGIN_SHARE * left)


def _asked(wanted: Wanted, task: Task, left: float, deadline: float) -> Asked:
    """The run, without an instruct model: its download is against the rules."""
    model, benchmark = wanted.model or task.model, wanted.benchmark or task.benchmark
    if model is None:
        raise InputError(f"{task.folder}: nothing says which model to train: name it with --model")
    if benchmark is None and wanted.data is None and wanted.recipe is None:
        found = (
            f"'{task.title}' is no benchmark of the catalogue" if task.title else "nothing says which benchmark it is"
        )
        raise InputError(f"{task.folder}: {found}: name one with --benchmark, or what to train on with --data")
    program = Program(
        command=taskfolder.command(task.folder, wanted.limit), folder=task.folder, metric=wanted.metric,
        limit=wanted.limit, time_limit=max(1.0, min(MOST_SCORE_SECONDS, SCORE_SHARE * left)), alone=benchmark is None,
    )  # fmt: skip
    return Asked(
        model=model, benchmark=benchmark or "task", budget=Budget(seconds=max(1.0, left)), agent=wanted.agent,
        seed=wanted.seed, recipe=wanted.recipe, executor=wanted.executor, program=program, data=wanted.data,
        reference=False, deadline=deadline,
    )  # fmt: skip


def _rendering(model: Path, task: Task, watch: Watch) -> Path:
    """The model with the template that evaluate.py renders its prompts with; as it is where that cannot be."""
    template = taskfolder.template(task.folder, model)
    if template is None:
        _say(watch, f"{task.folder}: no template for this model's family in {taskfolder.TEMPLATES}/: its own is used")
        return model
    try:
        return dressing.with_template(model, template.read_text(encoding="utf-8"))
    except (InputError, UnicodeDecodeError) as error:
        _say(watch, f"{template.name} is not used for training: {error}")
        return model


def _run_folder(place: Path) -> tuple[Path, bool]:
    """The folder of an unfinished run, or of a new one; and whether that is begun."""
    number = 1
    while (place / f"run-{number}").exists():
        folder = place / f"run-{number}"
        if (folder / RUN_FILE).is_file() and not reproduce.is_finished(folder):
            return folder, True
        number += 1
    return place / f"run-{number}", False


def _say(watch: Watch, text: str) -> None:
    watch(News(what="final", text=text))


# ---------------------------------------------------------------- the run


class Entry:
    """A run whose best trial so far is always in `target`."""

    def __init__(self, session: Session, base: Path, target: Path, watch: Watch) -> None:
        self.session, self.base, self.target, self.watch = session, base, target, watch
        # the trial whose weights are in place: none yet, the base's; of a run that goes on it is not known
        self.placed = UNKNOWN if session.history() else None
        session.on_event = self._hear

    def run(self) -> Entered:
        """Search, put the chosen model in its place, then score it once more if there is time for that."""
        session = self.session
        session.begin()
        agent = reproduce.agent_of(session.request, session)
        session.end(search.run(session, agent))
        choice = finish.choose_best(session)
        if choice.trial != self.placed:
            self._place(choice.trial)
        self._close()
        known = {trial.id: trial.score.value for trial in session.history() if trial.score}
        found = report.build_report(session.folder)
        return Entered(
            final_model=str(self.target), trial=choice.trial, score=known.get(choice.trial or "base"),
            base=known.get("base"), run=str(session.folder), why=choice.why, flagged=found["flagged"],
        )  # fmt: skip

    def _close(self) -> None:
        """The report, and before it the final scores where they fit before the deadline."""
        session, deadline = self.session, self.session.request.deadline or 0.0
        if deadline - session.clock.now() >= evaluations.closing_seconds(session.history()):
            session.finish()
        else:
            _say(self.watch, "no time is left for final scores: the report has the search's")
            report.write_report(session.folder)

    def _hear(self, news: News) -> None:
        self.watch(news)
        trial = news.trial
        if news.what != "finished" or trial is None or trial.score is None or self.session.flights:
            return
        others = [known.score.value for known in self.session.history() if known.score and known.id != trial.id]
        if all(trial.score.value > value for value in others):
            self._place(trial.id)

    def _place(self, trial_id: str | None) -> None:
        """Put a trial's model in place, or the base; what is there stays if that fails."""
        try:
            if trial_id is None:
                handover.copy(self.base, self.target)
            else:
                place = handover.fresh(self.target)
                finish.export_model(self.session, finish.chosen_weights(self.session, trial_id), place)
                handover.put(place, self.target)
        except (PosttrainError, OSError) as error:
            _say(self.watch, f"{self.target}: {trial_id or 'the base'} could not be put there ({error})")
            return
        self.placed = trial_id
        _say(self.watch, f"{self.target}: {trial_id or 'the base'}")
