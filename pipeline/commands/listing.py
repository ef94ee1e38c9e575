"""`posttrain list KIND`: what can be named, with a line about each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from pipeline import console
from pipeline.commands import options
from pipeline.errors import unknown

Rows = list[dict[str, Any]]
PLUGINS = ("agents", "trainers", "engines", "scorers", "guards", "executors", "families")


def models() -> Rows:
    """The lab's models and the Hub's pairs of every family."""
    from pipeline import plugins

    rows = []
    for name in plugins.names("families"):
        family = plugins.load("families", name).FAMILY
        rows.append({"name": f"lab/{name}-base", "summary": f"tiny {name} base, made on this machine", "family": name})
        rows.append({"name": f"lab/{name}", "summary": f"its instruct-tuned sibling: the {name} lab's human team"})
        for base, instruct in family.pairs:
            rows.append({"name": base, "summary": f"base on the Hub; instruct-tuned sibling: {instruct}"})
    return rows


def benchmarks() -> Rows:
    """The benchmarks in evals/."""
    from pipeline import benchmarks as shelf

    found = [shelf.load_benchmark(name) for name in shelf.names()]
    return [{"name": each.name, "summary": each.summary, "metric": each.metric, "kind": each.kind} for each in found]


def protocols() -> Rows:
    """The protocols in evals/protocols/, and what goes without one."""
    from pipeline import protocols as shelf

    rows: Rows = [{"name": shelf.OWN, "summary": "Each benchmark's own items, weight and decoding (the default)."}]
    for name in shelf.names()[1:]:
        found = shelf.load(name)
        rows.append({"name": name, "summary": found.summary, "benchmarks": list(found.weights)})
    return rows


def recipes() -> Rows:
    """The recipes in recipes/."""
    from pipeline.recipe import load_recipe, recipe_names

    rows = []
    for name in recipe_names():
        recipe = load_recipe(name)
        stages = [f"{stage.trainer} on {', '.join(ref.name for ref in stage.data)}" for stage in recipe.stages]
        rows.append({"name": name, "summary": f"{recipe.model}: {', then '.join(stages)}"})
    return rows


def data() -> Rows:
    """The data sources that recipes may mix."""
    from pipeline import catalogue

    found = catalogue.all_sources()
    return [{"name": name, "summary": each.entry.summary, "kind": each.entry.kind} for name, each in found.items()]


def plugin_rows(kind: str) -> Rows:
    """The shipped plugins of a kind, none of them imported."""
    from pipeline import plugins

    return [{"name": name, "summary": plugins.summary(kind, name)} for name in plugins.names(kind)]


KINDS: dict[str, Callable[[], Rows]] = {
    "models": models,
    "benchmarks": benchmarks,
    "protocols": protocols,
    "recipes": recipes,
    "data": data,
}


def list_kind(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"One of {', '.join([*KINDS, *PLUGINS])}.")],
    as_json: options.Json = False,
) -> None:
    """List what can be named, with a line about each.

    \b
    Example:
      posttrain list agents
    """
    if kind not in KINDS and kind not in PLUGINS:
        raise unknown("kind", kind, [*KINDS, *PLUGINS])
    rows = KINDS[kind]() if kind in KINDS else plugin_rows(kind)
    if as_json:
        console.document(rows)
        return
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        print(f"{row['name']:{width}}  {row['summary']}")
