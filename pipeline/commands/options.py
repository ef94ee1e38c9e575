"""Options that several commands share, and how their texts are read. Every wrong text is an InputError of one line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pipeline import consent
from pipeline.errors import InputError, unknown

if TYPE_CHECKING:
    from pipeline.types import Benchmark, Judge

LARGEST_SEED = 2**32 - 1  # what numpy and torch both take
DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")
DOLLARS = re.compile(r"\$?(\d+(?:\.\d+)?)\s*(?:usd|\$|dollars?)?")
SEVERAL = ("matrix.json", "comparison.json")  # what makes a folder one of several runs
FORMS = "write it as 90s, 15m, 10h or 1h30m"

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")]
Seed = Annotated[int, typer.Option(metavar="N", min=0, max=LARGEST_SEED, help="Seed of the search.")]
LabSeed = Annotated[int, typer.Option(metavar="N", min=0, max=LARGEST_SEED, help="Seed of the lab and its items.")]
Agent = Annotated[str, typer.Option(metavar="A", help="Who proposes: see `posttrain list agents`, or a dotted path.")]
Benchmarks = Annotated[list[str], typer.Option("--benchmark", metavar="B", help="Commas, repeats and `all`.")]
MODEL = "a Hub id, a folder, a GGUF file, a name from `posttrain list models`."
Model = Annotated[str, typer.Option(metavar="M", help=f"Base: {MODEL}")]
Yes = Annotated[
    bool, typer.Option("--yes", "-y", callback=consent.give, help="Download a catalogue model without asking.")
]
Instruct = Annotated[str | None, typer.Option(metavar="M", help="Its instruct-tuned sibling, the human reference.")]
Against = Annotated[
    str | None,
    typer.Option("--reference", metavar="M|X", help="Instead of --instruct: any model, or a known score such as 0.93."),
]
AgainstNote = Annotated[
    str | None, typer.Option("--reference-note", metavar="TEXT", help="Where that score is from, for the report.")
]
OffTarget = Annotated[
    list[str] | None,
    typer.Option("--off-target", metavar="B,..", help="Other benchmarks to measure the result on at the end."),
]
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
Limit = Annotated[
    int | None,
    typer.Option("--limit", metavar="N", min=1, help="Score N items only: the first, or a sample of search items."),
]
JudgeName = Annotated[
    str | None,
    typer.Option("--judge", metavar="J", help="For judged benchmarks: openai:MODEL, anthropic:MODEL, URL#MODEL."),
]
JudgeBudget = Annotated[str | None, typer.Option(metavar="USD", help="What the judge may cost at most: 5usd.")]
Llm = Annotated[
    str | None, typer.Option("--llm", metavar="L", help="Of --agent llm: openai:MODEL, anthropic:MODEL, URL#MODEL.")
]
LlmBudget = Annotated[str | None, typer.Option(metavar="CAP", help="What it may cost at most: 5usd or 200ktok.")]
LlmShare = Annotated[float | None, typer.Option(metavar="X", help="Share of trials that it proposes. Default: 0.3.")]
LlmTimeout = Annotated[str | None, typer.Option(metavar="TIME", help="That one turn of it may take, such as 60s.")]
LlmContext = Annotated[int | None, typer.Option(metavar="N", help="Tokens that its context holds.")]
Replay = Annotated[Path | None, typer.Option(metavar="FILE", help="Ask nobody: answers from this record, or run.")]
Freedom = Annotated[
    Literal["recipes", "code"] | None,
    typer.Option("--freedom", help="Of --agent command: it proposes recipes only, or may train and submit, too."),
]
AgentOption = Annotated[
    list[str] | None, typer.Option("--agent-option", metavar="NAME=VALUE", help="One of the agent's own; repeatable.")
]
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
    from pipeline.providers.names import JUDGE, parse
    from pipeline.types import Judge

    parse(name, JUDGE)
    return Judge(name=name.strip(), budget=dollars(budget) if budget is not None else None)


def agent_options(named: dict[str, Any], others: list[str] | None) -> dict[str, Any]:
    """The agent's own options: those that the command line has names for, and NAME=VALUE, its value read as JSON.

    What is no JSON is a text. Whether the agent takes them is for `pipeline.agent_options` to say.
    """
    found = {name: value for name, value in named.items() if value is not None}
    if "llm_timeout" in found:
        found["llm_timeout"] = seconds(found["llm_timeout"], "--llm-timeout")
    if "replay" in found:  # in full: the run may be resumed from another folder
        found["replay"] = str(Path(found["replay"]).expanduser().absolute())
    for text in others or ():
        name, equals, value = text.partition("=")
        key = name.strip().replace("-", "_")
        if not equals or not key.isidentifier():
            raise InputError(f"--agent-option '{text}': write it as NAME=VALUE")
        if key in found:
            raise InputError(f"--agent-option '{text}': {name.strip()} is given twice: give it once")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value.strip()
    return found


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
    names = [shelf.own_folder(name) or name for name in names]  # a run may be gone on with from another folder
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


def agents(values: list[str], option: str) -> list[str]:
    """The agents in options such as `--control random,tpe --control team:asha,tpe`, in order.

    What follows NAME: belongs to NAME, commas too, so that such an agent comes last in its option.
    """
    from pipeline import plugins

    shipped, names = plugins.names("agents"), []
    for value in values:
        parts = [part.strip() for part in value.split(",")]
        argued = next((at for at, part in enumerate(parts) if part.partition(":")[0] in shipped and ":" in part), None)
        names += parts if argued is None else [*parts[:argued], ",".join(parts[argued:])]
    if not all(names):
        raise InputError(f"{option} '{','.join(values)}': an empty name; see `posttrain list agents`")
    return names


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
        several = next((name for name in SEVERAL if (folder / name).is_file()), None)
        if several:
            raise InputError(f"{folder}: holds several runs ({several}): name one of their folders")
        raise InputError(f"{folder}: not a run folder (it has no run.json); {hint}")
    return folder


def new_folder(out: Path | None, name: str) -> Path:
    """The folder a run will be written to: `out` if nothing lies there, else a new numbered one under ./runs.

    Raises InputError where it cannot be written: known only at the end, that would cost all of the work.
    """
    from pipeline.paths import check_writable

    if out is not None:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            is_ours = any((out / name).exists() for name in ("run.json", *SEVERAL))
            go_on = f"go on with `posttrain search --resume {out}`" if is_ours else "empty it"
            raise InputError(f"--out {out}: already in use; name a new folder, or {go_on}")
        check_writable(out, f"--out {out}")
        return out
    slug = re.sub(r"[^\w.-]+", "-", name)
    folder = Path("runs") / slug
    number = 1
    while folder.exists():
        number += 1
        folder = Path("runs") / f"{slug}-{number}"
    check_writable(folder, "--out")
    return folder
