"""Options that several commands share, and how their texts are read. Every wrong text is an InputError of one line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pipeline.errors import InputError, unknown

if TYPE_CHECKING:
    from pipeline.types import Benchmark, Judge

LARGEST_SEED = 2**32 - 1  # what numpy and torch both take
DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")
DOLLARS = re.compile(r"\$?(\d+(?:\.\d+)?)\s*(?:usd|\$|dollars?)?")
FORMS = "write it as 90s, 15m, 10h or 1h30m"

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")]
Seed = Annotated[int, typer.Option(metavar="N", min=0, max=LARGEST_SEED, help="Seed of the search.")]
LabSeed = Annotated[int, typer.Option(metavar="N", min=0, max=LARGEST_SEED, help="Seed of the lab and its items.")]
Agent = Annotated[str, typer.Option(metavar="A", help="Who proposes: see `posttrain list agents`, or a dotted path.")]
Benchmarks = Annotated[list[str], typer.Option("--benchmark", metavar="B", help="Commas, repeats and `all`.")]
Model = Annotated[str, typer.Option(metavar="M", help="Base: a Hub id, a folder, a lab model.")]
Instruct = Annotated[str | None, typer.Option(metavar="M", help="Its instruct-tuned sibling, the human reference.")]
Family = Annotated[str, typer.Option(metavar="F", help="How turns are written: `auto` reads the model's own files.")]
Thinking = Annotated[bool, typer.Option("--thinking", help="Let all of them think first, where their family can.")]
AdapterBase = Annotated[str | None, typer.Option("--base", metavar="M", help="For an adapter whose base is elsewhere.")]
BudgetText = Annotated[str, typer.Option("--budget", metavar="TIME", help="Wall clock: 90s, 15m, 10h, 1h30m.")]
Trials = Annotated[int | None, typer.Option(metavar="N", min=1, help="Trials at most.")]
RecipeFile = Annotated[str | None, typer.Option("--recipe", metavar="FILE", help="Start from it: a file, or a name.")]
Slots = Annotated[int, typer.Option(metavar="N", min=1, max=1024, help="Trials at once; they divide the cores.")]
SplitName = Literal["search", "final"]
Split = Annotated[SplitName, typer.Option("--split", help="Items to score on.")]
Anchors = Annotated[
    Literal["measured", "published"],
    typer.Option("--anchors", help="The fraction's base and instruct: measured here, or as they were published."),
]
Limit = Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="Score the first N items only.")]
JudgeName = Annotated[
    str | None,
    typer.Option("--judge", metavar="J", help="For judged benchmarks: openai:MODEL, anthropic:MODEL, URL#MODEL."),
]
JudgeBudget = Annotated[str | None, typer.Option(metavar="USD", help="What the judge may cost at most: 5usd.")]
ItemsOut = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder for per-item results.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="New or empty. Default: a new one in ./runs.")]
Protocol = Annotated[
    str, typer.Option("--protocol", metavar="P", help="Weights, items and decoding: see `posttrain list protocols`.")
]
Temperature = Annotated[
    float | None,
    typer.Option("--temperature", metavar="T", help="Sample at it; 0 is greedy. Default: the benchmark's."),
]
TopP = Annotated[float | None, typer.Option("--top-p", metavar="P", help="Sample from the nucleus of that mass.")]
Repeats = Annotated[
    int | None, typer.Option("--repeats", metavar="N", help="Answers per item; alone: temperature 0.6, top-p 0.95.")
]
RunFolder = Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder.")]


def seconds(text: str, option: str = "--budget") -> float:
    """Seconds in a duration such as 90s, 15m, 10h, 1h30m. Raises InputError for anything else."""
    found = DURATION.fullmatch(text.strip())
    if not found or not any(found.groups()):
        raise InputError(f"{option} '{text}': not a duration; {FORMS}")
    hours, minutes, rest = (float(part or 0) for part in found.groups())
    total = hours * 3600 + minutes * 60 + rest
    if not total > 0:
        raise InputError(f"{option} '{text}': the budget must be more than 0; {FORMS}")
    return total


def dollars(text: str, option: str = "--judge-budget") -> float:
    """US dollars in an amount such as 5usd, 0.50usd, $5 or 5. Raises InputError for anything else."""
    found = DOLLARS.fullmatch(text.strip().lower())
    amount = float(found[1]) if found else 0.0
    if not amount > 0:
        raise InputError(f"{option} '{text}': not an amount; write it as 5usd or 0.50usd")
    return amount


def judge(name: str | None, budget: str | None) -> Judge | None:
    """The judge in `--judge` and `--judge-budget`; its name is checked to be one."""
    if name is None:
        if budget is not None:
            raise InputError(f"--judge-budget {budget}: there is no judge to pay: name one with --judge")
        return None
    from pipeline.judges.names import parse
    from pipeline.types import Judge

    parse(name)
    return Judge(name=name.strip(), budget=dollars(budget) if budget is not None else None)


def judges(names: list[str], judge: Judge | None) -> dict[str, Judge | None]:
    """The judge of each benchmark that is judged, None for the others. Raises InputError: missing, or not needed."""
    from pipeline import benchmarks as shelf
    from pipeline import judging

    loaded = {name: shelf.load_benchmark(name) for name in names}
    judged = judging.judged(list(loaded.values()), judge)
    return {name: judge if benchmark in judged else None for name, benchmark in loaded.items()}


def added_seconds(text: str) -> float:
    """Seconds in an extension of the budget such as +2h."""
    if not text.startswith("+"):
        raise InputError(f"--budget '{text}': with --resume the budget can only be extended; write it as +2h")
    return seconds(text[1:])


def split(
    values: list[str], kind: str, option: str, known: list[str], everything: list[str] | None = None
) -> list[str]:
    """The names in options such as `--benchmark a,b --benchmark c`, each once, in order.

    `all` stands for `everything`, or all that are known; `NAME:PART` is known if NAME is.
    """
    names: list[str] = []
    for name in (part.strip() for value in values for part in value.split(",")):
        if not name:
            raise InputError(f"{option}: an empty name; known are {', '.join(known)}")
        names.extend((everything or known) if name == "all" else [name])
    for name in names:
        if name.partition(":")[0] not in known and not Path(name).is_dir():
            raise unknown(kind, name, known)
    return list(dict.fromkeys(names))


def benchmarks(values: list[str], model: str = "lab/", protocol: str = "own") -> list[str]:
    """The benchmarks asked for: names in evals/ or folders, checked to be loadable and part of the protocol.

    `all` are the protocol's, or else the miniatures for a lab model, and the others for any other one.
    """
    from pipeline import benchmarks as shelf
    from pipeline import protocols

    tiny = list(shelf.tiny_names()) if "all" in ",".join(values) else []
    everything = tiny if model.startswith("lab/") else [name for name in shelf.names() if name not in tiny]
    if protocol != protocols.OWN:
        everything = list(protocols.load(protocol).weights)
    names = split(values, "benchmark", "--benchmark", shelf.names(), everything)
    for name in names:
        protocols.benchmark(name, protocol)
    return names


def decoded(
    names: list[str], protocol: str, temperature: float | None, top_p: float | None, repeats: int | None
) -> list[Benchmark]:
    """The benchmarks of these names, their answers drawn as the options say, else as the protocol, else as their own.

    Options hold for the few-shot form as well.
    """
    from pipeline import protocols
    from pipeline.decoding import overridden

    found = [protocols.benchmark(name, protocol) for name in names]
    if temperature is None and top_p is None and repeats is None:
        return found
    drawn = [(each, overridden(each.decoding, temperature, top_p, repeats)) for each in found]
    return [each.model_copy(update={"decoding": how, "few_shot_decoding": None}) for each, how in drawn]


def family(name: str) -> str:
    """`name` if it is `auto`, a shipped family or a dotted path to one."""
    from pipeline import dressing

    if name != dressing.AUTO:
        dressing.named(name)
    return name


def thinking(wanted: bool, engine: str) -> dict[str, Any]:
    """The engine's options for thinking. Raises InputError for an engine that renders no prompts of its own."""
    if wanted and engine != "hf":
        raise InputError(f"--thinking: the engine '{engine}' has no such switch: omit it, or use --engine hf")
    return {"thinking": True} if wanted else {}


def plugin(kind: str, name: str, option: str) -> str:
    """`name` if it is a plugin of that kind or a dotted path that can be loaded."""
    from pipeline import plugins

    if name not in plugins.names(kind):
        if "." not in name:
            raise unknown(option.lstrip("-"), name, plugins.names(kind))
        plugins.load(kind, name)
    return name


def changes(text: str) -> dict[str, Any]:
    """The patch in `--changes`: a JSON object of dotted paths and values."""
    example = """such as '{"stages.0.params.learning_rate": 2e-4}'"""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"--changes: not JSON ({error.msg}, column {error.colno}); give an object {example}") from None
    if not isinstance(value, dict):
        raise InputError(f"--changes: a JSON object is needed, {example}")
    return value


def run_folder(folder: Path) -> Path:
    """`folder` if it holds a run."""
    hint = "name one that `posttrain search`, `open` or `reproduce` wrote"
    if not folder.exists():
        raise InputError(f"{folder}: no such folder; {hint}")
    if not (folder / "run.json").is_file():
        raise InputError(f"{folder}: not a run folder (it has no run.json); {hint}")
    return folder


def new_folder(out: Path | None, name: str) -> Path:
    """The folder a run will be written to: `out` if nothing lies there, else a new numbered one under ./runs."""
    if out is not None:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            go_on = f"go on with `posttrain search --resume {out}`" if (out / "run.json").exists() else "empty it"
            raise InputError(f"--out {out}: already in use; name a new folder, or {go_on}")
        return out
    slug = re.sub(r"[^\w.-]+", "-", name)
    folder = Path("runs") / slug
    number = 1
    while folder.exists():
        number += 1
        folder = Path("runs") / f"{slug}-{number}"
    return folder
