"""How a task asks: the template, and what its holes must be."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.errors import InputError
from pipeline.task_items import HOLE, holes

MOST_LISTED = 20  # labels that a default prompt lists
MOST_LISTED_CHARACTERS = 400
NAME_LIKE = re.compile(r"\w[\w .-]*")
SAYS_NOTHING = {"answer", "target", "output", "completion", "response", "y", "a", "solution", "result"}


def default(metric: str, input_column: str, target_column: str, labels: Sequence[str]) -> str:
    """The prompt of a task whose user gave none."""
    wanted = re.sub(r"[_\W]+", " ", target_column).strip().lower()
    what = "answer" if wanted in SAYS_NOTHING or not wanted else wanted
    told = f"Give the {what} alone."
    if metric == "choice" and len(labels) <= MOST_LISTED and sum(map(len, labels)) <= MOST_LISTED_CHARACTERS:
        told = f"Answer with one of: {', '.join(sorted(labels))}."
    elif metric == "number":
        told = "Answer with the number alone."
    elif metric == "json":
        told = "Answer with JSON alone."
    elif metric == "contains":
        return f"{{{input_column}}}"
    return f"{{{input_column}}}\n\n{_literal(told)}"


def _literal(text: str) -> str:
    """Text whose braces, if they look like holes, stay what they are."""
    return re.sub(r"\{([^{}]+)\}", r"{{\1}}", text)


def settled(template: str, input_column: str, target_column: str, columns: Sequence[str]) -> str:
    """A user's template, `{input}` standing for the input's column, `\\n` for a new line.

    Raises InputError: it does not ask the input, gives the target away, or names a column that is not there.
    """
    template = template.replace("\\n", "\n")
    if input_column != "input" and "input" not in columns:
        template = re.sub(r"(?<!\{)\{input\}(?!\})", lambda _: f"{{{input_column}}}", template)
    named = holes(template)
    for name in named:
        if name not in columns and NAME_LIKE.fullmatch(name):
            raise InputError(
                f"--prompt: there is no column '{name}': columns are {', '.join(columns)}; "
                f"{{{{{name}}}}} writes it as it is"
            )
    if target_column in named:
        raise InputError(f"--prompt: it holds {{{target_column}}}, the target: take it out")
    if input_column not in named:
        raise InputError(f"--prompt: it has no {{{input_column}}}: write that where the input belongs")
    return template


def fixed_text(template: str) -> str:
    """What a template says in every prompt."""
    return HOLE.sub(lambda found: found[0] if found[2] is None else "\n", template)
