"""What a task's files say: `{HOLE}` is filled when they are written."""

from __future__ import annotations

from typing import Any

BENCHMARK = """# Written by `posttrain task create`; all of it may be edited. `n` takes the first rows of a file: more
# final items make the interval narrower and scoring longer.
"""
SOURCE = """# The training rows as a data source: recipes and `--data` may mix it with any other.
"""
RECIPE = """# What a search on this task starts from: an adapter on every linear layer, three passes over the rows.
"""
RECIPE_SMALL = """# For models below half a billion parameters on a CPU: a faster rate, the upper half of the layers
# only (the lower ones cost no gradients), and no longer than two cores train in half an hour.
"""
TASK = """# The chat form: the prompt is one user turn, the answer ends where the model ends its turn.
task: {NAME}
custom_dataset: !function utils.dataset
output_type: generate_until
test_split: test
doc_to_text: !function utils.question
doc_to_target: !function utils.reply
process_results: !function utils.process_results
generation_kwargs:
  until: []  # no stop text: lm-eval's default, a blank line, would cut answers
  do_sample: false
  max_gen_toks: {ROOM}
metric_list:
  - {metric: strict, aggregation: mean, higher_is_better: true}
  - {metric: lenient, aggregation: mean, higher_is_better: true}
metadata: {version: 1.0}
"""
FEW_SHOT = """# The raw form, for the few-shot base: worked examples as plain text, without a chat template.
include: {FILE}
task: {TASK}
doc_to_text: !function utils.few_shot_question
doc_to_target: !function utils.few_shot_answer
fewshot_split: fewshot
fewshot_config: {sampler: first_n}  # the same examples before every item
num_fewshot: {SHOTS}
generation_kwargs:
  until: {UNTIL}
  do_sample: false
  max_gen_toks: {ROOM}
"""
LABELS = 'json.loads((HERE / "data" / "labels.json").read_text(encoding="utf-8"))  # what a choice is among'
UTILS = '''"""{DOC}: how its items are asked and scored. What is said here holds for scoring and for training alike."""

from __future__ import annotations

{JSON}from pathlib import Path
from typing import Any

from pipeline.answers.targets import canonical, scores
from pipeline.task_items import Documents, fill, own_item, splits

HERE = Path(__file__).resolve().parent
METRIC = {METRIC}  # choice, exact, number, contains or json
TARGET = {TARGET}  # the column of the answer
PROMPT = {PROMPT}  # {COLUMN} stands for a row's value
LABELS = {LABELS}


def dataset(**metadata: Any) -> dict[str, Documents]:
    """The items, as lm-eval wants them."""
    return splits(HERE, **metadata)


def item(row: dict[str, Any], number: int, seed: int) -> dict[str, Any]:
    """An item of a row in data/."""
    return own_item({NAME}, row, PROMPT, TARGET)


def question(doc: dict[str, Any]) -> str:
    """The user's turn."""
    return fill(PROMPT, doc["row"])


def reply(doc: dict[str, Any]) -> str:
    """The answer that is trained on."""
    return canonical(METRIC, doc["answer"])


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Strict: the answer and nothing else. Lenient: what a reader would take for it."""
    return scores(METRIC, results[0], doc["answer"], LABELS)


def few_shot_question(doc: dict[str, Any]) -> str:
    """The question in raw text."""
    return f"Question: {question(doc)}\\nAnswer:"


def few_shot_answer(doc: dict[str, Any]) -> str:
    """The answer in raw text."""
    return reply(doc)
'''


def readme(document: dict[str, Any], shots: int) -> str:
    """README.md of the folder."""
    name, rows, scored, width = (document[key] for key in ("name", "rows", "scored", "interval_points"))
    shares = document["shares"]
    told = (
        f"A hash of the input decides: {shares['final']:.0%} final, {shares['search']:.0%} search, the rest training."
        if "final" in shares
        else f"The final rows are the test file; {shares['search']:.0%} of the others, by a hash, are search rows."
    )
    return f"""# {name}

A task made by `posttrain task create`. Everything in this folder may be edited.

```
posttrain search --model MODEL --benchmark ./{name} --budget 20m
posttrain evaluate MODEL --benchmark ./{name} --split final
lm_eval run --include_path ./{name} --tasks {name} --model hf --model_args pretrained=MODEL --apply_chat_template
```

## How it is scored

Metric `{document["metric"]}` ({document["metric_why"]}): {document["metric_means"]}. Strictly, the answer has to be
that and nothing else; the lenient score beside it takes what a reader would take for the answer, with words around it.
Answers are generated freely and greedily; the few-shot base sees {shots} training rows first.

The first {scored["final"]} of {rows["final"]} final rows are scored: the 95% interval of a score is at most
+-{width["score"]:.1f} points. `n` in benchmark.yaml changes that.

## Where the rows are

| file | rows | for |
|---|---|---|
| data/train.jsonl | {rows["train"]} | training; the data source `{name}` (data/{name}.yaml) |
| data/search.jsonl | {rows["search"]} | what agents are told, the first {scored["search"]} of them |
| data/final.jsonl | {rows["final"]} | the result; training data that holds one of them is refused |
| data/fewshot.jsonl | {shots} | examples for the few-shot base, training rows as well |

{told}
Rows that are added before the task is made anew move no others.

## What may be changed

- The prompt, the metric and what is taught: `utils.py`. Training and scoring both ask by it.
- The recipe that a search starts from: `recipe.yaml`, and `recipe_small.yaml` for models below half a
  billion parameters. Its model is replaced by the search's.
- Rows: one JSON object a line, in the columns that are there.
"""
