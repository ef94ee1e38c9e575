"""What a run hands over: the chosen model as one folder that `from_pretrained` loads, and its card."""

from __future__ import annotations

from pathlib import Path

from pipeline.ledger import Ledger
from pipeline.noise import Choice
from pipeline.paths import read_json
from pipeline.recipe import dump_recipe
from pipeline.request import RunRequest
from pipeline.types import Benchmark, Score, Trial

CALL = "pipeline.export.main"
NAMES = {"base": "base", "base_few_shot": "base, few-shot", "instruct": "instruct", "best": "this model"}

CARD = """---
base_model: {model}
tags: [posttrain]
---

# {title}

Made by `posttrain` from [{model}] for the benchmark `{benchmark}` ({metric}).

| final split, {items} | {metric} |
|---|---|
{rows}

How it was chosen: {why}.

```python
from transformers import AutoModelForCausalLM, AutoTokenizer
model, tokenizer = AutoModelForCausalLM.from_pretrained("."), AutoTokenizer.from_pretrained(".")
```

## Recipe

{recipe}
"""


def main(folder: Path) -> None:
    """A job's entry: job.json has `model_path` and `target`; an adapter is merged on the way."""
    from pipeline import weights  # torch, in the worker only

    job = read_json(folder / "job.json")
    weights.export(job["model_path"], job["target"])


def model_card(request: RunRequest, benchmark: Benchmark, choice: Choice, trial: Trial | None, ledger: Ledger) -> str:
    """README.md of final_model/."""
    events = [event for event in ledger.events() if event["kind"] == "scored"]
    scores = {event["which"]: Score.model_validate(event["score"]) for event in events}
    names = NAMES | ({"instruct": f"reference, {request.against.model}"} if request.against else {})
    rows = [
        f"| {names[which]}{', published' if s.source == 'published' else ''} | {s.value:.3f}{_error(s)} |"
        for which, s in scores.items()
        if which in NAMES
    ]
    recipe = f"```yaml\n{dump_recipe(trial.recipe)}```" if trial and trial.recipe else "None: this is the base itself."
    if trial and trial.kind == "submission":
        labels = "; ".join(trial.outcome.remarks) if trial.outcome else ""
        recipe = f"Not known: a checkpoint that was submitted (trial {trial.id}; {labels})."
    elif trial and trial.outcome:
        recipe += f"\n\nTrained on {trial.outcome.tokens} tokens (trial {trial.id})."
    items = f"{scores['best'].n} items" if scores["best"].n else "items not told"
    return CARD.format(
        model=request.model,
        title=f"{request.model.rsplit('/', 1)[-1]}, post-trained" if trial else request.model,
        benchmark=benchmark.name,
        metric=scores["best"].metric,
        items=items,
        rows="\n".join(rows),
        why=choice.why,
        recipe=recipe,
    )


def _error(score: Score) -> str:
    return "" if score.stderr is None else f" ± {score.stderr:.3f}"
