"""`posttrain list KIND`: what can be named, with a line about each."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline import console
from pipeline.commands import options
from pipeline.errors import unknown

if TYPE_CHECKING:
    from pipeline.family import Pair, Shape

Rows = list[dict[str, Any]]
PLUGINS = ("agents", "trainers", "engines", "scorers", "guards", "executors", "families")


def models() -> Rows:
    """The lab's models and the Hub's pairs of every family; `--family auto` takes others, too."""
    from pipeline import plugins
    from pipeline.memory import embedding_parameters, parameters

    rows, shape = [], lab_shape()
    size = parameters(shape)
    embeddings = {"rows": shape.vocabulary, "share": {"parameters": embedding_parameters(shape) / size}}
    made = {"parameters": size, "licence": "Apache-2.0", "gated": False, "revision": None, "embeddings": embeddings}
    for name in plugins.names("families"):
        family, base = plugins.load("families", name).FAMILY, f"lab/{name}-base"
        both = {"family": name, "base": base, "instruct": f"lab/{name}", **made}
        rows.append({"name": base, "summary": f"tiny {name} base, made on this machine", **both})
        rows.append(
            {"name": f"lab/{name}", "summary": f"its instruct-tuned sibling: the {name} lab's human team", **both}
        )
        rows += [row for pair in family.pairs for row in hub_rows(name, pair)]
    return rows


def hub_rows(family: str, pair: Pair) -> Rows:
    """A pair on the Hub: what is known of it, and the bytes that training it takes by each method."""
    from pipeline.memory import METHODS, embedding_share, training_bytes

    memory, share = {method: training_bytes(pair, method) for method in METHODS}, embedding_share(pair)
    embeddings = {"rows": pair.shape.vocabulary, "share": share}
    facts = {
        "family": family, **pair.model_dump(exclude={"shape"}), "memory_bytes": memory, "embeddings": embeddings
    }  # fmt: skip
    told = {method: console.size(taken) for method, taken in memory.items()}
    of_memory = ", ".join(f"{share[method]:.0%}" for method in METHODS)
    base = (
        f"base; instruct {pair.instruct}, revision {pair.revision} (not pinned), {pair.parameters / 1e9:.1f}B, "
        f"{pair.licence}{', gated' if pair.gated else ''}; "
        f"memory: LoRA {told['lora']} (with embeddings {told['lora_embeddings']}), full {told['full']}; "
        f"{pair.shape.vocabulary:,} embeddings: {share['parameters']:.0%} of the parameters, {of_memory} of that memory"
    )
    return [
        {"name": pair.base, "summary": base, **facts},
        {"name": pair.instruct, "summary": f"the instruct-tuned sibling of {pair.base}", **facts},
    ]


def lab_shape() -> Shape:
    """The sizes of the lab's models."""
    from pipeline.family import Shape
    from pipeline.lab.scale import scale

    lab = scale()
    return Shape(
        hidden=lab.hidden, layers=lab.layers, heads=lab.heads, key_value_heads=lab.key_value_heads,
        head_dim=lab.hidden // lab.heads, intermediate=3 * lab.hidden, vocabulary=lab.vocabulary,
    )  # fmt: skip


def benchmarks() -> Rows:
    """The benchmarks in evals/."""
    from pipeline import benchmarks as shelf

    found = [shelf.load_benchmark(name) for name in shelf.names()]
    return [
        {
            "name": each.name, "summary": each.summary, "metric": each.metric, "kind": each.kind,
            "published_anchors": sorted(each.anchors.models) if each.anchors else [],
        }
        for each in found
    ]  # fmt: skip


def anchors() -> Rows:
    """What results are compared with: published scores, and those that were measured here and are kept."""
    from pipeline import anchors as measured
    from pipeline import benchmarks as shelf
    from pipeline import published

    rows: Rows = []
    for benchmark in map(shelf.load_benchmark, shelf.names()):
        for model in benchmark.anchors.models if benchmark.anchors else ():
            scores = published.scores(benchmark, model)
            told = ", ".join(f"{role.replace('_', ' ')} {score.value:.3f}" for role, score in scores.items())
            source = benchmark.anchors.source.partition(" (")[0] if benchmark.anchors else ""
            rows.append({"name": f"{model} on {benchmark.name}", "source": "published", "benchmark": benchmark.name,
                         "scores": scores, "summary": f"published: {told} ({source})"})  # fmt: skip
    for kept in measured.listing():
        score, day = kept.score, time.strftime("%Y-%m-%d", time.localtime(kept.measured_at))
        how = f", after {kept.few_shot} examples" if kept.few_shot else ""
        told = f"measured: {score.value:.3f} +- {score.stderr:.3f} on {score.n} items of the {score.role} split{how}"
        rows.append({"name": f"{kept.model} on {score.benchmark}", "source": "measured", "benchmark": score.benchmark,
                     "few_shot": kept.few_shot, "score": score, "measured_at": kept.measured_at,
                     "summary": f"{told} ({day})"})  # fmt: skip
    return rows


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

    rows: Rows = []
    for name in plugins.names(kind):
        example = plugins.example(kind, name)
        more = {"example": example} if example != name else {}
        rows.append({"name": name, "summary": plugins.summary(kind, name), **more})
    return rows


KINDS: dict[str, Callable[[], Rows]] = {
    "models": models, "benchmarks": benchmarks, "protocols": protocols, "anchors": anchors, "recipes": recipes,
    "data": data,
}  # fmt: skip


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
