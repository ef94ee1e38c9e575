"""The verbs that make or go on with runs: reproduce, search, open, step, finish."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pipeline import console
from pipeline.commands import options, running
from pipeline.commands import program as own
from pipeline.commands.watching import Watcher
from pipeline.errors import InputError

DEFAULT_AGENT = "asha"
QWEN3, TINY_GSM8K = ["qwen3"], ["tiny_gsm8k"]


def reproduce(
    family: Annotated[list[str], typer.Option(metavar="F", help="Commas, repeats and `all` are taken.")] = QWEN3,
    benchmark: options.Benchmarks = TINY_GSM8K,
    agent: options.Agent = DEFAULT_AGENT,
    budget: options.BudgetText = "120s",
    seed: options.Seed = 0,
    lab_seed: options.LabSeed = 0,
    slots: options.Slots = 1,
    llm: options.Llm = None,
    llm_budget: options.LlmBudget = None,
    llm_share: options.LlmShare = None,
    llm_timeout: options.LlmTimeout = None,
    llm_context: options.LlmContext = None,
    replay: options.Replay = None,
    freedom: options.Freedom = None,
    agent_option: options.AgentOption = None,
    out: options.Out = None,
    as_json: options.Json = False,
) -> None:
    """Lab, search and report in one call, in minutes.

    Builds tiny base and instruct models (once), searches recipes, and reports the fraction of the human gain.
    Several families or benchmarks make a matrix; the budget is for each of its cells.

    \b
    Example:
      posttrain reproduce --family qwen3 --benchmark tiny_gsm8k --budget 120s
    """
    from pipeline import plugins

    of_agent = options.agent_options(
        {"llm": llm, "llm_budget": llm_budget, "llm_share": llm_share, "llm_timeout": llm_timeout,
         "llm_context": llm_context, "replay": replay, "freedom": freedom},
        agent_option,
    )  # fmt: skip
    families = options.split(family, "family", "--family", plugins.names("families"))
    cells = [
        running.asked(
            f"lab/{name}-base",
            each,
            budget,
            agent=agent,
            agent_options=of_agent,
            seed=seed,
            lab_seed=lab_seed,
            slots=slots,
        )
        for name in families
        for each in options.benchmarks(benchmark)
    ]
    running.run_all(cells, out, as_json)


def search(
    model: Annotated[str | None, typer.Option(metavar="M", help=f"Base: {options.MODEL}")] = None,
    benchmark: Annotated[list[str] | None, typer.Option(metavar="B", help="Commas, repeats and `all`.")] = None,
    instruct: options.Instruct = None,
    reference: options.Against = None,
    reference_note: options.AgainstNote = None,
    family: Annotated[str | None, typer.Option(metavar="F", help="How turns are written. Default: auto.")] = None,
    agent: Annotated[str | None, typer.Option(metavar="A", help=f"Who proposes. Default: {DEFAULT_AGENT}.")] = None,
    budget: Annotated[str | None, typer.Option(metavar="TIME", help="Wall clock: 10h; with --resume: +2h.")] = None,
    trials: options.Trials = None,
    control: Annotated[
        list[str] | None, typer.Option(metavar="A,B..", help="Agents to compare it with, at the same budget each.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=1000, help="Searches per agent, from --seed on.")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", min=0, max=running.SEEDS, help="Seed of the search.")] = None,
    lab_seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, max=running.SEEDS, help="Seed of the lab.")
    ] = None,
    recipe: options.RecipeFile = None,
    executor: Annotated[str | None, typer.Option(metavar="E", help="Where trials run. Default: local.")] = None,
    slots: Annotated[int | None, typer.Option(metavar="N", min=1, max=1024, help="Trials at once.")] = None,
    protocol: Annotated[str | None, typer.Option(metavar="P", help="See `posttrain list protocols`.")] = None,
    anchors: Annotated[
        Literal["measured", "published"] | None, typer.Option("--anchors", help="Of the fraction. Default: measured.")
    ] = None,
    judge: options.JudgeName = None,
    judge_budget: options.JudgeBudget = None,
    llm: options.Llm = None,
    llm_budget: options.LlmBudget = None,
    llm_share: options.LlmShare = None,
    llm_timeout: options.LlmTimeout = None,
    llm_context: options.LlmContext = None,
    replay: options.Replay = None,
    freedom: options.Freedom = None,
    agent_option: options.AgentOption = None,
    scorer: own.Scorer = None,
    metric: own.Metric = None,
    limit: own.Limit = None,
    scorer_time: own.ScorerTime = None,
    data: own.Data = None,
    off_target: options.OffTarget = None,
    out: options.Out = None,
    resume: Annotated[Path | None, typer.Option(metavar="DIR", help="Go on with this run instead.")] = None,
    yes: options.Yes = False,
    as_json: options.Json = False,
) -> None:
    """Search recipes for your model, or go on with a search.

    \b
    Examples:
      posttrain search --model lab/qwen3-base --benchmark tiny_gsm8k --budget 10m
      posttrain search --resume runs/qwen3-tiny_gsm8k-asha-seed0 --budget +2h
      posttrain search --model lab/qwen3-base --benchmark tiny_gsm8k --budget 2m --control random --seeds 3
      posttrain search --model lab/qwen3-base --benchmark tiny_gsm8k --budget 1h --agent command:claude
      posttrain search --model ./base --benchmark ./banking --budget 20m --reference 0.93 --reference-note "BERT, paper"
      posttrain search --model ./base --scorer 'python my.py {model} {json}' --data maths_1,maths_2 --budget 1h
    """
    of_agent = options.agent_options(
        {"llm": llm, "llm_budget": llm_budget, "llm_share": llm_share, "llm_timeout": llm_timeout,
         "llm_context": llm_context, "replay": replay, "freedom": freedom},
        agent_option,
    )  # fmt: skip
    told = {"scorer": scorer, "metric": metric, "limit": limit, "scorer_time": scorer_time, "data": data}
    given: dict[str, Any] = {
        "instruct": instruct, "family": family, "agent": agent, "trials": trials, "seed": seed, "lab_seed": lab_seed,
        "recipe": recipe, "executor": executor, "slots": slots, "protocol": protocol, "anchors": anchors,
        "judge": options.judge(judge, judge_budget), "agent_options": of_agent or None,
    }  # fmt: skip
    given = {name: value for name, value in given.items() if value is not None}
    if resume is not None:
        given.pop("agent_options", None)
        more = {"model": model, "benchmark": benchmark, "out": out, "control": control, "seeds": seeds,
                "reference": reference, "reference_note": reference_note, "off_target": off_target}  # fmt: skip
        running.resume(resume, budget, {**more, **told, **given, **of_agent}, as_json)
        return
    for option, value in (("--model", model), ("--benchmark", benchmark or scorer), ("--budget", budget)):
        if not value:
            raise InputError(f"{option} is missing; see `posttrain search --help`, or go on with --resume DIR")
    assert model is not None and budget is not None
    given |= against(reference, reference_note, instruct)
    given |= {"off_target": tuple(options.benchmarks(off_target, model))} if off_target else {}
    given |= own.mixed(data, benchmark)
    if scorer is not None:
        if given.pop("judge", None):
            raise InputError("--judge with --scorer: the program scores by itself: omit one of them")
        scored = own.scored(model, benchmark, protocol or "own", scorer, metric, limit, scorer_time, budget)
        running.run_all([running.asked(model, budget=budget, **scored, **given)], out, as_json)
        return
    own.refuse_alone(metric, limit, scorer_time)
    assert benchmark is not None
    names, paid = options.benchmarks(benchmark, model, protocol or "own"), given.pop("judge", None)
    judges = options.judges(names, paid)
    if reference is not None and given["against"].value is not None and len(names) > 1:
        many = f"one score cannot stand for {len(names)} benchmarks"
        raise InputError(f"--reference {reference}: {many}: search on each alone")
    cells = [running.asked(model, each, budget, judge=judges[each], **given) for each in names]
    if control or seeds:
        running.compare(cells, control or [], seeds or 1, out, as_json)
    else:
        running.run_all(cells, out, as_json)


def against(reference: str | None, note: str | None, instruct: str | None) -> dict[str, Any]:
    """What `--reference` and its note say; empty without them."""
    from pipeline.reference import parse

    found = parse(reference, note, instruct)
    return {"against": found} if found else {}


def open_run(
    model: options.Model,
    budget: options.BudgetText,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="New or empty.")],
    benchmark: Annotated[str | None, typer.Option(metavar="B", help="See `posttrain list benchmarks`.")] = None,
    instruct: options.Instruct = None,
    reference: options.Against = None,
    reference_note: options.AgainstNote = None,
    family: options.Family = "auto",
    trials: options.Trials = None,
    recipe: options.RecipeFile = None,
    executor: Annotated[str, typer.Option(metavar="E", help="Where trials run.")] = "local",
    protocol: options.Protocol = "own",
    judge: options.JudgeName = None,
    judge_budget: options.JudgeBudget = None,
    seed: options.Seed = 0,
    lab_seed: options.LabSeed = 0,
    anchors: options.Anchors = "measured",
    scorer: own.Scorer = None,
    metric: own.Metric = None,
    limit: own.Limit = None,
    scorer_time: own.ScorerTime = None,
    data: own.Data = None,
    yes: options.Yes = False,
    off_target: options.OffTarget = None,
    as_json: options.Json = False,
) -> None:
    """Open a run without an agent, for `step` and `finish`. Its clock runs from here to its finish.

    \b
    Example:
      posttrain open --model lab/qwen3-base --benchmark tiny_gsm8k --budget 1h --out runs/mine
    """
    from pipeline import asking
    from pipeline.session import Session

    if not benchmark and not scorer:
        raise InputError("--benchmark is missing; see `posttrain open --help`")
    given = [benchmark] if benchmark else None
    if scorer:
        scored = own.scored(model, given, protocol, scorer, metric, limit, scorer_time, budget)
    else:
        own.refuse_alone(metric, limit, scorer_time)
        scored = {"benchmark": own.single(given or [], model, protocol)}
    asked = running.asked(
        model, budget=budget, **scored, **own.mixed(data, given), trials=trials, agent=None, instruct=instruct,
        off_target=tuple(options.benchmarks(off_target, model)) if off_target else (),
        **against(reference, reference_note, instruct), family=family, recipe=recipe, executor=executor,
        protocol=protocol, judge=options.judge(judge, judge_budget), seed=seed, lab_seed=lab_seed, anchors=anchors,
    )  # fmt: skip
    asking.check(asked)
    folder, watcher = options.new_folder(out, ""), Watcher()
    with running.interruptible(folder), console.stdout_kept_clean():
        request = asking.to_request(asked, watcher.resolve, watcher.progress.say)
        with Session.open(folder, request) as session:
            session.on_event = watcher
            session.begin()
            brief = session.brief()
            document = {"folder": folder, "remaining": session.remaining(), "space": brief.space, "data": brief.cards}
    if as_json:
        console.document(document)
    else:
        print(f"opened {folder}; go on with `posttrain step {shlex.quote(str(folder))} --changes '{{...}}'`")


def step(
    folder: options.RunFolder,
    changes: Annotated[str, typer.Option(metavar="JSON", help="An object of dotted paths and values.")],
    fidelity: Annotated[float, typer.Option(metavar="X", min=0.001, max=1.0, help="Share of the full length.")] = 1.0,
    continues: Annotated[str | None, typer.Option(metavar="TRIAL", help="Train on from its checkpoint.")] = None,
    rationale: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is kept with the trial.")] = "",
    as_json: options.Json = False,
) -> None:
    """Try one recipe in an open run.

    It is trained, scored on the search split and recorded, by the process that owns the run if one does; there it
    waits for a free slot.

    \b
    Example:
      posttrain step runs/mine --changes '{"stages.0.params.learning_rate": 2e-4}' --fidelity 0.25
    """
    from pipeline.flight import summary
    from pipeline.owner.entrance import enter
    from pipeline.types import Proposal

    options.run_folder(folder)
    wanted = Proposal(
        changes=options.changes(changes), fidelity=fidelity, continues=continues, rationale=rationale, author="user"
    )
    watcher = Watcher()
    with running.interruptible(folder), console.stdout_kept_clean(), enter(folder, watcher) as entered:
        trial = entered.step(wanted)
        left = entered.remaining()
    watcher.progress.close()
    if trial.state == "rejected":
        reason = next((verdict.reason for verdict in trial.verdicts if not verdict.ok), "a guard refused it")
        raise InputError(f"{trial.id} was rejected: {reason}")
    if as_json:
        console.document({"trial": trial, "remaining": left})
    else:
        print(summary(trial))


def finish(folder: options.RunFolder, as_json: options.Json = False) -> None:
    """End a run: choose, final split, final model, report.

    \b
    Example:
      posttrain finish runs/mine
    """
    from pipeline import reproduce as runs

    options.run_folder(folder)
    with running.interruptible(folder), console.stdout_kept_clean():
        runs.finish(folder, Watcher())
    running.show(folder, as_json)
