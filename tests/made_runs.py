"""Run folders of every fate, made by the same calls that a session makes."""

from pathlib import Path

from pipeline.ledger import Ledger
from pipeline.paths import write_json, write_jsonl
from pipeline.types import Cost, DataRef, Outcome, Proposal, Recipe, Score, Stage, Trial, Verdict

N = 500
RIGHT = {"base": 10, "base_few_shot": 60, "instruct": 485, "best": 425}
START = 1_800_000_000.0
RECIPE = Recipe(
    model="lab/qwen3-base",
    stages=(Stage(data=(DataRef(name="maths_3", weight=3.0), DataRef(name="maths_1")), params={"tokens": 400_000}),),
)


def score(right, n=N, role="final"):
    value = right / n
    stderr = (value * (1 - value) / (n - 1)) ** 0.5
    return Score(benchmark="tiny_gsm8k", metric="exact answer", value=value, stderr=stderr, n=n, role=role,
                 lenient=min(1.0, value + 0.01), stops=0.99)  # fmt: skip


class Made:
    """A run folder in the making: the same calls that a session makes, at chosen times."""

    def __init__(self, folder: Path, **asked):
        self.folder, self.ledger = folder, Ledger(folder / "ledger.jsonl")
        request = {"model": "lab/qwen3-base", "instruct": "lab/qwen3", "benchmark": "tiny_gsm8k", "agent": "asha",
                   "seed": 3, "budget": {"seconds": 120.0}, "slots": 1, "lab_seed": 0} | asked  # fmt: skip
        write_json(folder / "run.json", {"schema": 1, "request": request, "metric": "exact answer"})

    def note(self, name, at=0.0, **fields):
        self.ledger.append("note", note=name, at=START + at, **fields)

    def clock(self, state, at):
        self.note("clock", at, state=state)

    def trial(self, name, right, at, state="scored", error=None, labels=(), kind="recipe", verdicts=()):
        trial = Trial(id=name, kind=kind, recipe=RECIPE, proposal=Proposal(author="asha"), verdicts=verdicts)
        self.ledger.append("started", trial=trial, at=START + at - 10)
        if state == "pending":
            return
        scores = (score(right, 300, "search"),) if state == "scored" else ()
        cost = Cost(seconds=9.5, train_seconds=8.0, eval_seconds=1.0)
        outcome = Outcome(scores=scores, cost=cost, error=error, labels=labels, fidelity=0.5, tokens=200_000)
        self.ledger.append("finished", trial=name, state=state, outcome=outcome, at=START + at)

    def final(self, role, right=None, items=None, look=1, n=N):
        right = RIGHT[role] if right is None else right
        items = [float(number < right) for number in range(n)] if items is None else items
        place = f"sealed/final-{look}/{role}/items.jsonl"
        write_jsonl(self.folder / place, [
            {"id": f"f{number}", "strict": value, "lenient": value, "response": "#### 4", "stopped": True}
            for number, value in enumerate(items)
        ])  # fmt: skip
        self.ledger.append("scored", model=role, score=score(right, n), items=place, look=look)

    def choose(self, trial, unresolved=False):
        self.ledger.append("chosen", trial=trial, why="best of 3 by search score", unresolved=unresolved)


def finished(folder, flagged=False, best=None, **asked):
    """A whole run: anchors, five trials of every fate, a pause outside the budget, a choice, final scores, guards."""
    made = Made(folder, **asked)
    made.note("outside", what="lab", seconds=212.5)
    made.trial("base", 6, 0, kind="anchor")
    made.clock("runs", 0)
    made.trial("t001", 90, 20)
    made.trial("t002", 0, 32, state="failed", error="loss is NaN after 30 steps")
    made.clock("pauses", 40)
    made.note("outside", 45, what="base", seconds=5.0)
    made.clock("runs", 45)
    made.trial("t003", 240, 65)
    made.trial("t004", 270, 95, labels=("does not stop",))
    made.trial("t005", 0, 96, state="rejected", verdicts=(Verdict(guard="bounds", ok=False, reason="rank 9000"),))
    made.trial("t006", 252, 115)
    made.clock("stops", 125)
    made.note("search_ended", 125, why="the budget is spent")
    made.choose("t006")
    for role in RIGHT:
        made.final(role, best if role == "best" else None)
    made.note("verdict", 130, verdict=Verdict(guard="bounds", ok=True))
    made.note("verdict", 130, verdict=Verdict(guard="contamination", ok=not flagged, reason="3 final items in maths_9"))
    return made
