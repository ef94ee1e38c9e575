"""`posttrain evaluate`: a checkpoint's scores, and its fraction of the human gain, under a search's own rules."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline import console
from pipeline.commands import anchored, options, terms
from pipeline.commands import program as own
from pipeline.commands.evaluated import as_text, ignored_answers, summary
from pipeline.commands.scoring import (
    RECORDED,
    Found,
    by_lab,
    check_answers,
    check_items,
    estimate,
    evaluate_all,
    write_items,
)
from pipeline.errors import InputError

if TYPE_CHECKING:
    from pipeline.types import Benchmark, Reference


def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=f"Or an adapter's folder: {options.MODEL}")],
    benchmark: Annotated[list[str] | None, typer.Option(metavar="B", help="Commas, repeats and `all`.")] = None,
    split: options.Split = "search",
    base: Annotated[str | None, typer.Option(metavar="M", help="For the fraction; or an adapter's base.")] = None,
    instruct: options.Instruct = None,
    reference: options.Against = None,
    reference_note: options.AgainstNote = None,
    anchors: options.Anchors = "measured",
    family: options.Family = "auto",
    thinking: options.Thinking = False,
    limit: options.Limit = None,
    engine: Annotated[str, typer.Option(metavar="E", help="What generates: see `posttrain list engines`.")] = "hf",
    lab_seed: options.LabSeed = 0,
    protocol: options.Protocol = "own",
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    repeats: options.Repeats = None,
    judge: options.JudgeName = None,
    judge_budget: options.JudgeBudget = None,
    scorer: own.Scorer = None,
    metric: own.Metric = None,
    scorer_time: own.ScorerTime = None,
    allow_unsafe_code: Annotated[bool, typer.Option(help="Run model-written code even without a sandbox.")] = False,
    out: options.ItemsOut = None,
    yes: options.Yes = False,
    as_json: options.Json = False,
) -> None:
    """Score a model on benchmarks, by a search's own rules.

    With --base also the gain over it, and with --instruct, or --reference and any model or a known score, the fraction
    of the gain to that: their scores are taken from where `posttrain anchors`, a search or an earlier call kept them,
    if nothing that decides them has changed, and else measured and kept. --anchors published takes them from
    benchmark.yaml, where published ones are, and needs no --instruct. All models are decoded alike: greedily, unless
    the benchmark, a protocol or an option says otherwise. What the model's own generation_config.json would bring the
    base is scored beside it where the two differ. MODEL may be a PEFT adapter's folder; --base alone names the base
    that it sits on, where its own configuration names one that is not here.

    \b
    Examples:
      posttrain evaluate lab/qwen3 --benchmark tiny_gsm8k --limit 100 --repeats 5
      posttrain evaluate ./mine --benchmark gsm8k --split final --base Qwen/Qwen3-1.7B-Base --anchors published
    """
    from pipeline import chat, judging, models, plugins
    from pipeline.sandbox.guests import ALLOW

    if allow_unsafe_code:
        os.environ[ALLOW] = "1"
    drawn = (temperature, top_p, repeats)
    shelf = own.shelf(model, benchmark, protocol, scorer, metric, limit, scorer_time, drawn)
    judged_by = options.judge(judge, judge_budget)
    judging.judged(shelf, judged_by)
    published = published_anchors(shelf, base, instruct) if anchors == "published" else {}
    is_adapter = chat.named_base(Path(model).expanduser()) is not None
    against = compared_with(shelf, reference, reference_note, base, instruct, anchors)
    instruct = against.model if against and against.model else instruct
    is_for_adapter = is_adapter and instruct is None and against is None
    family = options.family(family)
    named = {"model": model} if published and not is_adapter else {"model": model, "base": base, "instruct": instruct}
    wanted = {role: name for role, name in named.items() if name is not None}
    engine, _, file = engine.partition(":")  # recorded:FILE
    options.plugin("engines", engine, "--engine")
    plain = (_plain(engine), options.thinking(thinking, _plain(engine) if instruct else engine))
    looked_up = {"model"} if engine == RECORDED else set()  # MODEL is then a label
    if looked_up:  # better refused before a model is built, fetched or scored
        plugins.entry("engines", engine)(model, file=file)
    for role, name in wanted.items():
        if role not in looked_up:
            models.check(name)
    folder = options.new_folder(out, f"evaluation-{Path(model).name}")
    progress = console.Progress()
    with console.stdout_kept_clean():
        check_items(shelf, split, lab_seed, limit)
        recorded = (engine, {"file": file, "all_samples": repeats is None})
        if looked_up:
            check_answers(shelf, split, lab_seed, limit, recorded[1])
        estimate(shelf, judged_by, split, lab_seed, limit, len(wanted), progress.say)
        labels = {role: Path(name) for role, name in wanted.items() if role in looked_up}
        here = {role: name for role, name in wanted.items() if role not in looked_up}
        found: Found = {}
        alone = is_for_adapter or bool(published)  # no model is measured beside MODEL
        compared = {} if alone else {role: name for role, name in here.items() if role != "model"}
        kept = anchored.Anchors(compared, protocol, split, lab_seed, limit, judged_by, progress)
        for part in by_lab(shelf, here.values()):
            folders = labels | resolved(here, lab_seed, progress, family, part)
            if alone:
                folders.pop("base", None)  # it was named for the adapter's sake
            engines = {role: recorded if role in looked_up else plain for role in folders}
            apart = None if looked_up else terms.configured_as(folders)
            found |= evaluate_all(part, folders, split, lab_seed, limit, engines, progress, judged_by, apart, kept)
        found = {each.name: found[each.name] for each in shelf}
        progress("done")
        path = write_items(folder, found, private=split == "final")
    if ignored := ignored_answers(found):
        progress.say(f"{ignored} recorded answers ignored: they are of another split or benchmark, or beyond --limit")
    for name, by_role in (published or given(shelf, against)).items():
        found[name] |= by_role
    document = summary(model, found, path, shelf, against) | terms.document(found, shelf, protocol, folders)
    document |= {"anchors_kept": kept.told} if kept.told else {}
    if as_json:
        console.document(document)
    else:
        print(as_text(document, found))


def compared_with(
    shelf: list[Benchmark], text: str | None, note: str | None, base: str | None, instruct: str | None, anchors: str
) -> Reference | None:
    """What stands in the instruct model's place, if anything. Raises InputError where it cannot, or lacks a base."""
    from pipeline import reference

    found = reference.parse(text, note, instruct)
    if base is None and anchors == "measured" and (found or instruct):
        option = reference.OPTION if found else "--instruct"
        raise InputError(f"{option}: the fraction needs the base, too: name it with --base")
    if found and anchors == "published":
        raise InputError(f"{reference.OPTION} with --anchors published: both say what to compare with: omit one")
    if found and found.value is not None and len(shelf) > 1:
        raise InputError(f"{reference.OPTION} {text}: one score cannot stand for {len(shelf)} benchmarks: take one")
    for benchmark in shelf:
        reference.check(found, benchmark)
    return found


def given(shelf: list[Benchmark], against: Reference | None) -> Found:
    """A known score by benchmark, as an evaluation without items."""
    from pipeline import reference
    from pipeline.evaluate import Evaluation

    scores = {each.name: reference.score(against, each.name, each.metric) for each in shelf} if against else {}
    return {name: {"instruct": Evaluation(score, [], 0.0)} for name, score in scores.items() if score}


def published_anchors(shelf: list[Benchmark], base: str | None, instruct: str | None) -> Found:
    """The published base, few-shot base and instruct scores by benchmark and role, as evaluations without items."""
    from pipeline import models, published
    from pipeline.evaluate import Evaluation

    if base is None:
        raise InputError(f"{published.FLAG}: name the base model with --base")
    known = {each.name: published.require(each, base, instruct, models.sibling(base)) for each in shelf}
    return {
        name: {role: Evaluation(score, [], 0.0) for role, score in scores.items()} for name, scores in known.items()
    }


def resolved(
    wanted: dict[str, str], lab_seed: int, progress: console.Progress, family: str, shelf: list[Benchmark]
) -> dict[str, Path]:
    """The models' folders; an anchor that cannot be had is refused with the flag that takes a published one instead.

    The benchmarks are of one lab, see `by_lab`.
    """
    from pipeline import models, published

    here = {role: models.address(name, shelf[0]) for role, name in wanted.items()}
    for role in {"base", "instruct"} & wanted.keys():
        if not Path(wanted[role]).expanduser().is_dir():
            try:
                here[role] = str(models.resolve(here[role], lab_seed, progress))
            except InputError as error:
                raise published.instead(error, shelf, wanted.get("base")) from None
    return models.folders(here, lab_seed, progress, family)


def _plain(engine: str) -> str:
    """The engine for models that are scored beside recorded answers."""
    return "hf" if engine == RECORDED else engine
