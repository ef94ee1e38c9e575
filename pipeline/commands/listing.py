"""`posttrain list KIND`: what can be named, with a line about each."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline import console
from pipeline.commands import options
from pipeline.errors import InputError, unknown

if TYPE_CHECKING:
    from pipeline.family import Pair, Shape
    from pipeline.types import Benchmark

Rows = list[dict[str, Any]]
PLUGINS = ("agents", "trainers", "engines", "scorers", "guards", "executors", "families")


def models() -> Rows:
    """The catalogue's models, the lab's, the Hub's pairs of every family, converted files; what is in the cache.

    `--family auto` takes others, too.
    """
    from pipeline import plugins
    from pipeline.memory import embedding_parameters, parameters

    rows, shape = [*catalogue_rows(), *converted_rows()], lab_shape()
    size = parameters(shape)
    embeddings = {"rows": shape.vocabulary, "share": {"parameters": embedding_parameters(shape) / size}}
    made = {"parameters": size, "licence": "Apache-2.0", "gated": False, "revision": None, "embeddings": embeddings}
    built = _labs_built()
    for name in plugins.names("families"):
        family, base = plugins.load("families", name).FAMILY, f"lab/{name}-base"
        both = {"family": name, "base": base, "instruct": f"lab/{name}", **made, "cached": name in built}
        told = " (in the cache)" if name in built else ""
        rows.append({"name": base, "summary": f"tiny {name} base, made on this machine{told}", **both})
        rows.append(
            {"name": f"lab/{name}", "summary": f"its instruct-tuned sibling: the {name} lab's human team", **both}
        )
        rows += [row for pair in family.pairs for row in hub_rows(name, pair)]
    return rows


def catalogue_rows() -> Rows:
    """The model catalogue's entries."""
    from pipeline import model_catalogue

    rows = []
    for name, entry in model_catalogue.entries().items():
        folder = model_catalogue.cached(entry)
        facts = entry.model_dump(exclude={"file"}, exclude_none=True)
        if folder is not None:
            state = f"in the cache ({console.size(folder_bytes(folder))})"
        elif entry.download_bytes:
            state = f"not here yet: `posttrain models get {name}` ({console.size(entry.download_bytes)})"
        else:
            state = "fetched on use"
        told = f"{entry.summary} {entry.parameters / 1e6:.0f}M, {entry.licence}; {state}"
        rows.append({**facts, "name": name, "summary": told, "cached": folder is not None, "folder": folder})
    return rows


def converted_rows() -> Rows:
    """GGUF files that were converted, but for the catalogue's."""
    from pipeline import model_catalogue
    from pipeline.gguf_files import convert

    known = {model_catalogue.cached(entry) for entry in model_catalogue.entries().values()}
    return [
        {
            **facts, "name": facts["file"], "cached": True,
            "summary": f"a GGUF file ({facts['architecture']}, {facts['quantisation']}, "
            f"{facts['parameters'] / 1e6:.3g}M), converted; in the cache ({console.size(facts['bytes'])})",
        }
        for facts in convert.listing()
        if facts["folder"] not in known
    ]  # fmt: skip


def _labs_built() -> set[str]:
    from pipeline import lab

    return {found["family"] for found in lab.listing()}


def folder_bytes(folder: Path) -> int:
    """Bytes of a folder's files."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


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
    """The benchmarks in evals/, and those in folders of the present one."""
    from pipeline import benchmarks as shelf

    return [_benchmark(name, shelf.load_benchmark(name)) for name in shelf.names()] + _of_own_tasks(_own_benchmark)


def _benchmark(name: str, found: Benchmark) -> dict[str, Any]:
    return {
        "name": name, "summary": found.summary, "metric": found.metric, "kind": found.kind,
        "published_anchors": sorted(found.anchors.models) if found.anchors else [],
    }  # fmt: skip


def _own_benchmark(folder: str) -> Rows:
    from pipeline import benchmarks as shelf

    return [_benchmark(folder, shelf.load_benchmark(folder))]


def _of_own_tasks(told: Callable[[str], Rows]) -> Rows:
    """What there is to say of the benchmarks in folders of the present one; a broken one is listed as such."""
    rows: Rows = []
    for path in sorted(Path().glob("*/benchmark.yaml")):
        try:
            rows += told(f"./{path.parent}")
        except InputError as error:
            rows.append({"name": f"./{path.parent}", "summary": f"cannot be read: {error}"})
    return rows


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
    return rows + _of_own_tasks(_own_recipe)


def _own_recipe(folder: str) -> Rows:
    from pipeline import benchmarks as shelf

    found = shelf.load_benchmark(folder)
    if not found.recipe.endswith((".yaml", ".yml")):
        return []
    return [{"name": f"{folder}/{found.recipe}", "summary": f"what a search on {folder} starts from"}]


def data() -> Rows:
    """The data sources that recipes may mix."""
    from pipeline import catalogue

    found = catalogue.all_sources()
    rows = [{"name": name, "summary": each.entry.summary, "kind": each.entry.kind} for name, each in found.items()]
    return rows + _of_own_tasks(_own_data)


def _own_data(folder: str) -> Rows:
    from pipeline import catalogue

    shipped, found = catalogue.names(), catalogue.all_sources(folder)
    return [
        {"name": name, "summary": f"{each.entry.summary} Of {folder}.", "kind": each.entry.kind, "benchmark": folder}
        for name, each in found.items()
        if name not in shipped
    ]


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
