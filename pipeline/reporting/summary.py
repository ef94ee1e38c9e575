"""The numbers of a run: report.json, schema 1. Pure: a story in, a dict out."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline import gain, protocols, published, reference
from pipeline.benchmarks import load_benchmark
from pipeline.errors import InputError
from pipeline.noise import noise_floor, paired_test
from pipeline.reference import column
from pipeline.reporting.commanded import commanded, unsealed
from pipeline.reporting.judged import judge_of
from pipeline.reporting.offtarget import off_target
from pipeline.reporting.proposer import proposer
from pipeline.reporting.resolution import resolution
from pipeline.reporting.story import AS_CONFIGURED, Final, Story, reference_of
from pipeline.reporting.strategies import strategies_of
from pipeline.reporting.teamwork import teamwork
from pipeline.types import Score
from pipeline.unpaired import p_value, smallest_difference

SCHEMA = 1
NAMES = {"base": "base", "base_few_shot": "few-shot base", "instruct": "instruct model", "best": "best model"}


def summarise(story: Story) -> dict[str, Any]:
    """report.json of a run, finished or not. What is not known yet is null, and `fraction_why` says what is missing."""
    run, flagged = story.run, is_flagged(story)
    result, over_few_shot = fraction_over(story, "base"), fraction_over(story, "base_few_shot")
    report = {
        "schema": SCHEMA,
        "model": run.get("model"),
        "benchmark": Path(run["benchmark"]).name if run.get("benchmark") else None,  # it may be a folder
        "metric": run.get("metric") or _metric(story),
        "agent": run.get("agent"),
        "seed": run.get("seed"),
        "protocol": protocols.name_of(run.get("protocol") or protocols.OWN),
        "fraction": _plain(result.interval),
        "fraction_why": result.why,
        "reference": reference.told(reference_of(run)),
        "fraction_over_few_shot": _plain(over_few_shot.interval),
        "gain_points": _points(story),
        "scores": {role: score_of(final_of(story, role)) for role in NAMES},
        "trials": counts(story),
        "best_trial": story.best.id if story.best else None,
        "noise_floor": search_noise(story),
        "strategies": strategies_of(story),
        "controls": [_beside(control, result.interval) for control in story.controls],
        "spend": spend(story),
        "verdicts": [{"guard": v.guard, "ok": v.ok, "reason": v.reason} for v in story.verdicts],
        "flagged": flagged,
        "sealed": bool(run.get("sealed", True)) and not unsealed(story),
        "final_looks": story.final_looks,
    }
    labels = story.best.outcome.labels if story.best and story.best.outcome else ()
    more: dict[str, Any] = {"best_labels": list(labels)} if labels else {}
    more |= resolution(story, report, _p_of_gain(story))
    more |= {"off_target": rows} if (rows := off_target(story)) else {}
    more |= {"raw_fraction": _plain(result.raw)} if flagged else {}
    more |= {"terms": run["terms"]} if run.get("terms") else {}
    more |= {"anchors": whence} if (whence := anchors_of(story)) else {}
    more |= {"judge": found} if (found := judge_of(story)) else {}
    more |= {"proposer": found} if (found := proposer(story)) else {}
    more |= {"command_agent": found} if (found := commanded(story)) else {}
    return report | more | as_configured(story) | teamwork(story)


def _beside(control: dict[str, Any], own: gain.Interval | None) -> dict[str, Any]:
    """A control arm with the difference to it; no interval, as one seed has no spread."""
    other = control["fraction"]
    return control | {"difference": own.value - other["value"] if own and other else None}


def is_flagged(story: Story) -> bool:
    """Whether a guard refused the final model."""
    return any(not verdict.ok for verdict in story.verdicts)


def final_of(story: Story, role: str) -> Final | None:
    """The final score of a role; the base's stands for the best where the choice fell on the base."""
    if role == "best" and "best" not in story.finals and story.base_is_the_result:
        return story.finals.get("base")
    return story.finals.get(role)


# ---------------------------------------------------------------- fraction


def paired_items(story: Story, roles: tuple[str, ...]) -> dict[str, npt.NDArray[np.float64]] | str:
    """The roles' items, sorted by id, or why they do not pair."""
    finals = {role: final_of(story, role) for role in roles}
    missing = [_name(story, role) for role, final in finals.items() if final is None]
    if "instruct" in roles and finals["instruct"] is None and not story.run.get("instruct"):
        return (
            "no instruct model was named, so there is no human gain to compare with: search with --instruct, or with "
            "--reference and a model or a known score"
        )
    if missing:
        return f"not finished, no final score yet of the {', '.join(missing)}"
    items = {role: final.items for role, final in finals.items() if final and final.items is not None}
    measured = {role: final for role, final in finals.items() if final and final.score.source != "given"}
    for role, final in measured.items():
        if final and final.items is None and _by_program(story):
            return "a program tells scores, and no items"
        if final and final.items is None:
            return f"the items of the {_name(story, role)} are not there: {final.problem}"
    ids = sorted(next(iter(items.values())))
    for role, scores in items.items():
        if scores.keys() != set(ids):
            return f"the {_name(story, role)} was scored on other items than the {NAMES[roles[0]]}: score them again"
    found = {role: np.array([scores[item] for item in ids]) for role, scores in items.items()}
    if story.base_is_the_result and "best" in found and "base" in found:
        found["best"] = found["base"]  # one model, not two that are alike
    given = {role: final.score.value for role, final in finals.items() if final and role not in measured}
    return found | {role: column(value, len(ids)) for role, value in given.items()}


def _name(story: Story, role: str) -> str:
    """What a role is called in messages."""
    return "reference model" if role == "instruct" and story.run.get("against") else NAMES[role]


def fraction_over(story: Story, floor: str) -> gain.Fraction:
    """The fraction over the base or the few-shot base, paired by item; from standard errors where items are missing.

    A flagged run counts as its base: 0 over the base, and what the base is worth over the few-shot base.
    """
    over, flagged = NAMES[floor], is_flagged(story)
    best = "base" if flagged and floor != "base" else "best"
    found = paired_items(story, (best, floor, "instruct"))
    if isinstance(found, str):
        result = _unpaired(story, (best, floor, "instruct"), over, found)
    else:
        top = "reference" if story.run.get("against") else "instruct"
        result = gain.fraction(found[best], found[floor], found["instruct"], over=over, top=top)
    return gain.as_flagged(result) if flagged and floor == "base" else result


def _unpaired(story: Story, roles: tuple[str, str, str], over: str, why: str) -> gain.Fraction:
    """What the scores alone give; nothing if one is missing or is contradicted by its items."""
    finals = [final_of(story, role) for role in roles]
    if any(final is None or (final.problem and "does not fit" in final.problem) for final in finals):
        return gain.Fraction(interval=None, why=why)
    scores = [final.score for final in finals if final]
    best, base, instruct = [published.with_error(score) for score in scores]
    if any(score.stderr is None for score in scores):
        return gain.Fraction(interval=None, why=_without_errors(*scores))
    try:
        published.refuse_mixed(scores, told=story.run.get("anchors") == "published")
        result = gain.fraction_of_scores(best, base, instruct, over=over)
    except InputError as error:
        return gain.Fraction(interval=None, why=f"{why}; {error}")
    if published.is_mixed(scores):
        why = f"base and instruct are published; {published.DIFFER}"
    note = f"interval from standard errors, not paired: {why}"
    return result if result.why else gain.Fraction(interval=result.interval, why=note)


def _without_errors(best: Score, base: Score, instruct: Score) -> str:
    """Why scores without standard errors give no fraction, and what they would give."""
    gap = instruct.value - base.value
    alone = f"; the scores alone give {(best.value - base.value) / gap:.3f}" if gap > 0 else ""
    return f"no interval can be told, as the program tells neither standard errors nor how many items it scored{alone}"


def _points(story: Story) -> dict[str, float] | None:
    """best - base in points, paired; 0 for a flagged run; None where items do not pair.

    Of a program's shares with standard errors the interval is that of independent scores.
    """
    if is_flagged(story):
        return {"value": 0.0, "low": 0.0, "high": 0.0}
    found = paired_items(story, ("best", "base"))
    if isinstance(found, str):
        return _unpaired_points(story)
    points = gain.gain_points(found["best"], found["base"])
    return {"value": points.value, "low": points.low, "high": points.high}


def _unpaired_points(story: Story) -> dict[str, float] | None:
    best, base = final_of(story, "best"), final_of(story, "base")
    if not best or not base or not _by_program(story):
        return None
    (high, high_error), (low, low_error) = published.with_error(best.score), published.with_error(base.score)
    reach = 100 * gain.normal_reach(high_error, low_error)
    if not (0.0 <= low <= 1.0 and 0.0 <= high <= 1.0 and math.isfinite(reach)):
        return None
    points = 100 * (high - low)
    return {"value": points, "low": points - reach, "high": points + reach}


def _p_of_gain(story: Story) -> float | None:
    """p of 'best and base score alike' on the final items; None where nothing tells."""
    found = paired_items(story, ("best", "base"))
    if not isinstance(found, str):
        return paired_test(found["best"], found["base"])
    best, base = final_of(story, "best"), final_of(story, "base")
    return p_value(best.score, base.score) if best and base and _by_program(story) else None


def _by_program(story: Story) -> bool:
    return bool((story.run.get("terms") or {}).get("program"))


def as_configured(story: Story) -> dict[str, Any]:
    """The base's score under the chosen model's settings, and the points that these alone bring; {} if not measured."""
    configured, base = story.finals.get(AS_CONFIGURED), story.finals.get("base")
    if configured is None:
        return {}
    points = None
    if base and configured.items and base.items and configured.items.keys() == base.items.keys():
        points = gain.gain_points(list(configured.items.values()), [base.items[item] for item in configured.items])
    return {AS_CONFIGURED: {**(score_of(configured) or {}), "points": _plain(points)}}


def _plain(interval: gain.Interval | None) -> dict[str, float] | None:
    return interval.model_dump() if interval else None


# ---------------------------------------------------------------- the rest


def score_of(final: Final | None) -> dict[str, Any] | None:
    """A final score as the report has it."""
    if final is None:
        return None
    score = final.score
    return {
        "value": score.value,
        "stderr": score.stderr,
        "n": score.n,
        "lenient": score.lenient,
        "source": score.source,
    } | repeated(score)


def repeated(score: Score) -> dict[str, Any]:
    """What there is to say of a score whose items were answered several times; {} of others."""
    if score.repeats == 1:
        return {}
    return {"repeats": score.repeats, "stderr_within": score.stderr_within, "pass_at_k": score.pass_at_k}


def anchors_of(story: Story) -> dict[str, Any]:
    """Where the anchors are from, as far as it was not this run that measured them, and what is published of them."""
    known = _published(story)
    used = {role: final.score for role, final in story.finals.items() if final.score.source == "published"}
    kept = {"kept": story.kept} if story.kept else {}
    if not known:
        return kept
    values = {role: score.value for role, score in known[1].items()}
    return kept | {"published": {"source": known[0], "used": bool(used), **values}}


def _published(story: Story) -> tuple[str, dict[str, Score]] | None:
    """The source and the scores that are published for the run's model and benchmark."""
    try:
        benchmark = load_benchmark(story.run["benchmark"])
    except (InputError, KeyError, TypeError):  # a benchmark of the user's own that is not here any more
        return None
    scores = published.scores(benchmark, str(story.run.get("model")))
    return (benchmark.anchors.source, scores) if benchmark.anchors and scores else None


def _metric(story: Story) -> str | None:
    """The metric that the scores name."""
    scores = [final.score for final in story.finals.values()] + [trial.score for trial in story.trials if trial.score]
    return scores[0].metric if scores else None


def counts(story: Story) -> dict[str, int]:
    """Trials by what became of them, anchors left out."""
    states = [trial.state for trial in story.tried]
    return {state: states.count(state) for state in ("scored", "failed", "rejected", "pending")}


def search_noise(story: Story) -> float | None:
    """The smallest difference in search scores worth believing, near the best trial's score and on its items."""
    scores = [trial.score for trial in ([story.best] if story.best else story.tried) if trial.score]
    if not scores:
        return None
    top = max(scores, key=lambda score: score.value)
    if _by_program(story):
        return smallest_difference(top)
    return noise_floor(top.n, top.value) if top.n else None


def spend(story: Story) -> dict[str, Any]:
    """Seconds inside and outside the budget.

    Training and evaluation are sums over trials; with several slots they overlap, and overhead is the counted time less
    their share per slot: what a slot did with its time beside training and evaluating.
    """
    costs = [trial.outcome.cost for trial in story.tried if trial.outcome]
    train, evaluation = sum(cost.train_seconds for cost in costs), sum(cost.eval_seconds for cost in costs)
    slots = max(1, int(story.run.get("slots") or 1))
    return {
        "seconds": round(story.seconds, 3),
        "budget_seconds": story.budget_seconds,
        "train_seconds": round(train, 3),
        "eval_seconds": round(evaluation, 3),
        "overhead_seconds": round(max(0.0, story.seconds - (train + evaluation) / slots), 3),
        "outside_budget": {what: round(seconds, 3) for what, seconds in story.outside.items()},
    }
