"""The report of one run in words: a story and its numbers in, a page out."""

from __future__ import annotations

import json
import time
from typing import Any

from pipeline.errors import InputError
from pipeline.noise import CONFIDENCE
from pipeline.recipe import dump_recipe
from pipeline.reporting import commanded, offtarget, proposer, resolution
from pipeline.reporting.blocks import (
    Block,
    Code,
    Curve,
    Page,
    Ruler,
    Table,
    Text,
    interval,
    listed,
    number,
    seconds,
    size,
)
from pipeline.reporting.heading import against, headline, regained
from pipeline.reporting.judged import judge_block
from pipeline.reporting.story import Story, improvements
from pipeline.reporting.strategies import strategy_blocks
from pipeline.reporting.summary import NAMES, final_of
from pipeline.reporting.teamwork import teamwork_blocks
from pipeline.request import UNVERIFIED, WHOLE_TEST
from pipeline.types import Recipe, Stage, Trial
from pipeline.unpaired import UNKNOWN

ROWS = {"base": "base", "base_few_shot": "base, few-shot", "best": "best", "instruct": "instruct"}
# What says most about a recipe, in this order; the whole recipe follows in Markdown and HTML.
TOLD = ("tuning", "rank", "alpha", "targets", "layers", "learning_rate", "schedule", "batch_size", "tokens", "steps",
        "epochs", "packing", "neftune")  # fmt: skip


def run_page(story: Story, report: dict[str, Any]) -> Page:
    """One run's page."""
    blocks: list[Block | None] = [
        _ruler(report),
        _fractions(report),
        _controls(report),
        _scores(story, report),
        judge_block(report.get("judge"), ROWS),
        offtarget.table(report),
        _anchors(report),
        _curve(story),
        _progress(story),
        *_best_recipe(story),
        *strategy_blocks(report),
        _time(report),
        *teamwork_blocks(report),
        _trials(story, report),
        *proposer.blocks(report.get("proposer")),
        *commanded.blocks(report.get("command_agent")),
        _trial_list(story),
        _guards(report),
        Text("Run folder", f"{story.folder} ({size(story.folder_bytes)})"),
    ]
    figure, caption = headline(report)
    return Page(
        title=f"{report['model'] or 'unknown model'} on {report['benchmark'] or 'unknown benchmark'}",
        subtitle=listed([
            f"agent {report['agent']}" if report["agent"] else "no agent",
            f"seed {report['seed']}" if report["seed"] is not None else "",
            against(story),
            f"protocol {report['protocol']}",
            f"judged by {report['judge']['name']}" if report.get("judge") else "",
        ]),
        headline=figure,
        caption=caption,
        warning=_warning(report),
        blocks=tuple(block for block in blocks if block),
    )  # fmt: skip


def _warning(report: dict[str, Any]) -> str:
    """What must not be overlooked, in one paragraph."""
    refused = [f"{verdict['guard']}: {verdict['reason']}" for verdict in report["verdicts"] if not verdict["ok"]]
    parts = [f"FLAGGED, counts as the base ({'; '.join(refused)})" if report["flagged"] else ""]
    parts.append(resolution.warning(report))
    if report["fraction"] is None:
        parts.append(f"No fraction: {report['fraction_why']}")
    elif report["fraction_why"] and not report["flagged"]:
        parts.append(report["fraction_why"].capitalize())
    if UNVERIFIED in report.get("best_labels", ()):
        parts.append(f"Unverified: the best model ({report['best_trial']}) was made outside the run")
    if _is_whole_test(report):
        parts.append(
            f"Not sealed: {report['terms']['items']}, as the protocol has it. The result was chosen on these same "
            "items, so its score is optimistic, and no interval here covers that"
        )
    elif unsealed := commanded.warning(report.get("command_agent")):
        parts.append(unsealed)
    elif not report["sealed"] and _program(report):
        parts.append(f"Not sealed: {report['terms']['items']}")
    elif not report["sealed"]:
        parts.append("Not sealed: the agent could have reached the final items")
    if report["final_looks"] > 1:
        parts.append(f"The final split was looked at {report['final_looks']} times: the last look is not a fresh one")
    parts.append(proposer.warning(report.get("proposer")))
    return ". ".join(part for part in parts if part)


# ---------------------------------------------------------------- scores


def _fractions(report: dict[str, Any]) -> Table:
    rows = [
        (f"fraction {regained(report)}", interval(report["fraction"])),
        ("the same over the few-shot base", interval(report["fraction_over_few_shot"])),
        ("gain over the base, points", interval(report["gain_points"], 1, "+")),
    ]
    if report["flagged"]:
        rows.insert(1, ("as measured, before the flag", interval(report["raw_fraction"])))
    found = report["fraction"]
    how = "by standard errors" if _program(report) else "bootstrap over items"
    note = f"{CONFIDENCE:.0%} intervals, {how}" if found or report["gain_points"] else ""
    if found and (report["reference"] or {}).get("source") == "given":
        note += f"; the reference {report['reference']['interval']}"
    return Table("Result", tuple(rows), note=note)


def _controls(report: dict[str, Any]) -> Table | None:
    """What the control arms with the same seed and budget reached, and how far this run is beyond them."""
    rows = [
        (each["agent"], interval(each["fraction"]), "-" if each["difference"] is None else f"{each['difference']:+.3f}")
        for each in report["controls"]
    ]
    note = "of one seed; the comparison's own report has the lift over all seeds, with its interval"
    return Table("Control arms", tuple(rows), ("", "fraction", "difference"), note=note) if rows else None


def _scores(story: Story, report: dict[str, Any]) -> Table:
    rows = []
    for role, label in ROWS.items():
        score, final = report["scores"][role], final_of(story, role)
        stops = number(final.score.stops, 2) if final else "-"
        if role == "best":
            label = f"best ({report['best_trial'] or ('the base' if story.base_is_the_result else 'not chosen')})"
        label = "reference" if role == "instruct" and report["reference"] else label
        label += ", given" if score and score["source"] == "given" else ""
        label += ", published" if score and score["source"] == "published" else ""
        cells = [number(score[key]) if score else "-" for key in ("value", "stderr", "lenient")]
        if score and score["source"] == "given":
            cells[1] = "exact"
        rows.append((label, *cells, stops, str(score["n"] or "-") if score else "-"))
    configured, note = _as_configured(report)
    metric = report["metric"] or "score"
    header = ("", "strict", "+-", "lenient", "stops", "items")
    items = "the whole test set, which the search was scored on, too" if _is_whole_test(report) else ""
    if _program(report):
        items = f"scored by `{_program(report)}`; {report['terms']['items']}"
    notes = listed(
        [items or f"final items{', which no agent saw' if report['sealed'] else ''}", _decoding(report), note]
    )
    return Table(f"Final scores ({metric})", (*rows, *configured), header, note=notes)


def _is_whole_test(report: dict[str, Any]) -> bool:
    return bool(report.get("terms")) and report["terms"]["items"] == WHOLE_TEST


def _program(report: dict[str, Any]) -> str:
    """The command line that scored, where a program did."""
    return str((report.get("terms") or {}).get("program") or "")


def _decoding(report: dict[str, Any]) -> str:
    """How answers were drawn, where it is not greedily."""
    terms = report.get("terms") or {}
    few_shot = terms.get("few_shot_decoding")
    told = "" if terms.get("decoding") in (None, "greedy") or _program(report) else f"decoded: {terms['decoding']}"
    return listed([told, f"few-shot: {few_shot}" if few_shot else ""])


def _as_configured(report: dict[str, Any]) -> tuple[list[tuple[str, ...]], str]:
    """The row of the base under the best model's settings, and what these alone bring."""
    score = report.get("base_as_configured")
    if not score:
        return [], ""
    cells = [number(score[key]) for key in ("value", "stderr", "lenient")]
    row = (f"base, decoded as {report['best_trial']}'s generation_config says", *cells, "-", str(score["n"]))
    return [row], f"these settings alone bring the base {interval(score['points'], 1, '+')} points"


def _anchors(report: dict[str, Any]) -> Text | None:
    """Which anchors were not measured by this run, and what is published of them."""
    whence, told = report.get("anchors") or {}, []
    for split, found in whence.get("kept", {}).items():
        days = sorted({time.strftime("%Y-%m-%d", time.localtime(at)) for at in found.values()})
        names = listed(NAMES[name] for name in NAMES if name in found)
        told.append(
            f"{split} split: {names} measured before ({' to '.join(dict.fromkeys((days[0], days[-1])))}) and kept"
        )
    known = whence.get("published")
    if known:
        values = listed(f"{label} {known[role]:.3f}" for role, label in NAMES.items() if role in known)
        use = "used for the fraction" if known["used"] else "not used: harnesses differ"
        told.append(f"published ({known['source']}), {use}: {values}")
    return Text("Anchors", "; ".join(told)) if told else None


def _ruler(report: dict[str, Any]) -> Ruler | None:
    marks = []
    for role, label in ROWS.items():
        score = report["scores"][role]
        label = "reference" if role == "instruct" and report["reference"] else label
        if score:
            reach = None if score["stderr"] is None else 1.96 * score["stderr"]
            bounds = (None, None) if reach is None else (score["value"] - reach, score["value"] + reach)
            marks.append((label, score["value"], *bounds))
    return Ruler(tuple(marks)) if marks else None


# ---------------------------------------------------------------- the search


def _curve(story: Story) -> Curve | None:
    if not story.curve:
        return None
    anchors = [(trial.id, trial.score.value) for trial in story.trials if trial.kind == "anchor" and trial.score]
    levels = [(f"{name.replace('_', ' ')}, search", value) for name, value in anchors] or [
        (f"{label}, final", final.score.value)
        for role, label in ROWS.items()
        if role != "best" and (final := story.finals.get(role))
    ]
    end = max(story.seconds, story.budget_seconds or 0.0, story.curve[-1].seconds)
    note = "Every dot is a scored trial (hollow: does not stop), the line is the best so far, all on the search split."
    return Curve("Search score over seconds of budget", story.curve, tuple(levels), end, note)


def _progress(story: Story) -> Text | None:
    risen = improvements(story.curve)
    if not risen:
        return None
    steps = ", ".join(f"{point.value:.3f} at {seconds(point.seconds)} ({point.trial})" for point in risen)
    return Text("Best search score so far", steps)


def _best_recipe(story: Story) -> list[Block]:
    best, choice = story.best, story.choice or {}
    why = str(choice.get("why") or "")
    if choice.get("unresolved") and "unresolved" not in why:
        why += " (unresolved)"
    if best is not None and best.kind == "submission":
        remarks = listed(best.outcome.remarks) if best.outcome else ""
        told = (("submitted", remarks), ("why", best.proposal.rationale), ("chosen as", why))
        return [Table(f"Best model ({best.id})", tuple(row for row in told if row[1]), figures=False)]
    if best is None or best.recipe is None:
        return [Text("Choice", why)] if why else []
    rows = [row for number, stage in enumerate(best.recipe.stages, 1) for row in _stage_rows(stage, number, best)]
    rows.append(("chosen as", why))
    table = Table(f"Best recipe ({best.id})", tuple(row for row in rows if row[1]), figures=False)
    return [table, Code("The whole recipe", _yaml(best.recipe))]


def _stage_rows(stage: Stage, number: int, best: Trial) -> list[tuple[str, str]]:
    told = [f"{key} {stage.params[key]}" for key in TOLD if stage.params.get(key) not in (None, False)]
    total = sum(ref.weight for ref in stage.data) or 1.0
    mix = [f"{ref.name} {ref.weight / total:.0%}" for ref in stage.data if ref.weight > 0]
    reached = f" (trained {best.outcome.fidelity:.0%} of it)" if best.outcome and best.outcome.fidelity < 1 else ""
    return [(f"stage {number}: {stage.trainer}", listed(told) + reached), ("data", listed(mix))]


def _yaml(recipe: Recipe) -> str:
    try:
        return dump_recipe(recipe)
    except InputError:  # a recipe of another version, or with a plugin that is not here
        return json.dumps(recipe.model_dump(mode="json"), indent=2)


def _time(report: dict[str, Any]) -> Table:
    spend = report["spend"]
    share = f" ({spend['overhead_seconds'] / spend['seconds']:.0%})" if spend["seconds"] else ""
    limit = f" of {seconds(spend['budget_seconds'])}" if spend["budget_seconds"] else ""
    rows = [
        ("search, all that counts", seconds(spend["seconds"]) + limit),
        ("  training", seconds(spend["train_seconds"])),
        ("  evaluating", seconds(spend["eval_seconds"])),
        ("  neither", seconds(spend["overhead_seconds"]) + share),
        *((f"outside: {what.replace('_', ' ')}", seconds(spent)) for what, spent in spend["outside_budget"].items()),
    ]
    return Table("Time", tuple(rows))


def _trials(story: Story, report: dict[str, Any]) -> Text:
    counted = [f"{count} {state}" for state, count in report["trials"].items()]
    abandoned = sum(trial.state == "abandoned" for trial in story.tried)
    floor = report["noise_floor"]
    told = listed([*counted, f"{abandoned} abandoned" if abandoned else ""])
    noise = (
        f"; search scores that differ by less than {floor:.3f} can seldom be told apart" if floor is not None else ""
    )
    if floor is None and _program(report) and report["trials"]["scored"]:
        noise = f"; which differences of search scores are worth believing is not known: {UNKNOWN}"
    ended = f"; the search ended: {story.ended}" if story.ended else ""
    return Text("Trials", told + noise + ended)


def _trial_list(story: Story) -> Table | None:
    at = {point.trial: point.seconds for point in story.curve}
    rows = []
    for trial in sorted(story.tried, key=lambda trial: -(trial.score.value if trial.score else -1.0)):
        outcome = trial.outcome
        remark = listed([*(outcome.remarks if outcome else ()), _failure(trial)])
        score = number(trial.score.value if trial.score else None)
        share = f"{outcome.fidelity:.0%}" if outcome and trial.kind == "recipe" else "-"
        rows.append((trial.id, trial.state, score, share, seconds(at.get(trial.id)), trial.proposal.author, remark))
    if not rows:
        return None
    header = ("trial", "state", "search score", "trained", "finished at", "author", "remark")
    return Table("All trials", tuple(rows), header, figures=False, long=True)


def _failure(trial: Trial) -> str:
    if trial.outcome and trial.outcome.error:
        return trial.outcome.error
    return listed(f"{verdict.guard}: {verdict.reason}" for verdict in trial.verdicts if not verdict.ok)


def _guards(report: dict[str, Any]) -> Table | None:
    rows = [(v["guard"], "ok" if v["ok"] else "REFUSED", v["reason"]) for v in report["verdicts"]]
    return Table("Guards on the final model", tuple(rows), figures=False) if rows else None
