"""What `evaluate` says of its scores: the document of `--json`, the fraction of the human gain, the table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.commands import anchored, terms
from pipeline.commands.scoring import Found, strict

if TYPE_CHECKING:
    from pipeline.types import Benchmark, Reference

LABELS = {"base": "base", "base_few_shot": "base, few-shot", "instruct": "instruct"}


def summary(
    model: str, found: Found, path: Path, shelf: list[Benchmark], reference: Reference | None = None
) -> dict[str, Any]:
    """What `--json` prints: scores by strict and by lenient reading, the gain in points where a base is, and the
    fraction where an instruct model, or a `reference` in its place, is as well."""
    from pipeline.evaluate import by_reading
    from pipeline.reference import told

    def scores(role: str) -> list[Any]:
        return [score for by_role in found.values() for score in by_reading(by_role[role])]

    document: dict[str, Any] = {"model": model, "scores": scores("model"), "items": path.absolute()}
    if (ignored := ignored_answers(found)) is not None:
        document["ignored_answers"] = ignored
    if judged := judging_facts(found):
        document["judging"] = judged
    roles = [role for role in LABELS if all(role in by_role for by_role in found.values())]
    if reference is not None:
        document["reference"] = told(reference)
    if "base" in roles:
        document |= {role: scores(role) for role in roles} | {"gain_points": gains(found)}
    if "instruct" in roles:
        top = "instruct" if reference is None else "reference"
        document |= {role: scores(role) for role in roles} | fraction(found, shelf, top)
    elif "base" in roles:
        document |= {"fraction": None, "fraction_why": "no instruct model was named (--instruct), nor a --reference"}
    return document


def gains(found: Found) -> list[dict[str, Any]]:
    """What the model gains over the base, in points, with the paired interval, where both have items."""
    from pipeline import gain

    pairs = {name: [by_role[role] for role in ("model", "base")] for name, by_role in found.items()}
    return [
        {"benchmark": name, **gain.gain_points(*map(strict, both)).model_dump()}
        for name, both in pairs.items()
        if all(scored.items for scored in both)
    ]


def judging_facts(found: Found) -> list[dict[str, Any]]:
    """What there is to say of each judged score: its interval, who judged, how much was asked and at what price."""
    from pipeline import totals
    from pipeline.judges import agreement

    return [
        {"benchmark": name, "of": role, "interval": totals.interval(scored.items), **facts}
        for name, by_role in found.items()
        for role, scored in by_role.items()
        if (facts := agreement.facts(scored.items))
    ]


def judging_text(facts: dict[str, Any]) -> str:
    """What there is to say of one judged score, in a line."""
    from pipeline.judges.purse import money

    parts = [
        f"{facts['benchmark']}, {facts['of']}: {_interval(facts['interval'])}",
        f"judged by {facts['judge']}",
        f"{facts['asked']} verdicts asked for, {facts['kept']} from the cache, {facts['unread']} unreadable",
        f"{money(facts['dollars'])} spent" if facts["dollars"] is not None else "price unknown",
    ]
    if facts.get("position_bias") is not None:
        parts.append(f"{facts['position_bias']:.0%} of pairs flip with the order of the answers")
    return ", ".join(parts)


def ignored_answers(found: Found) -> int | None:
    """How many recorded answers no item of any benchmark asked for; None if the answers were not recorded ones."""
    unused = [by_role["model"].unused for by_role in found.values()]
    return None if None in unused else len(frozenset.intersection(*unused))


def fraction(found: Found, shelf: list[Benchmark], top: str = "instruct") -> dict[str, Any]:
    """The fraction over all benchmarks, by their weights, with its interval; null with the reason within noise.

    `top` names what the gain is measured against in messages.
    """
    from pipeline import gain
    from pipeline.reference import column

    if any(scored.score.source == "published" for by_role in found.values() for scored in by_role.values()):
        return {"anchors": "published", **published_fraction(found, shelf)}
    scored = [each for by_role in found.values() for each in by_role.values() if each.score.source != "given"]
    if not all(each.items for each in scored):
        return {"anchors": "measured", **_fraction_of_scores(found, shelf)}

    def items(by_role: dict[str, Any], role: str) -> Any:
        known = by_role[role]
        return strict(known) if known.items else column(known.score.value, len(by_role["base"].items))

    cells = [gain.Cell("model", name, *(items(by_role, role) for role in ("model", "base", "instruct")))
             for name, by_role in found.items()]  # fmt: skip
    weights = {each.name: each.weight for each in shelf}
    result = gain.matrix_fraction(cells, weights, top=top)
    told = {"anchors": "measured", "fraction": result.interval, "fraction_why": result.why}
    if all("base_few_shot" in by_role for by_role in found.values()):
        over = gain.matrix_fraction(
            [replace(cell, few_shot=strict(found[cell.benchmark]["base_few_shot"])) for cell in cells],
            weights,
            over="few_shot",
            top=top,
        )
        told |= {"fraction_over_few_shot": over.interval, "fraction_over_few_shot_why": over.why}
    return told


def _fraction_of_scores(found: Found, shelf: list[Benchmark]) -> dict[str, Any]:
    """The fraction where a program told scores and no items."""
    from pipeline import gain, published
    from pipeline.errors import InputError

    cells = [
        gain.ScoreCell(
            "model", name, *(published.with_error(by_role[role].score) for role in ("model", "base", "instruct"))
        )
        for name, by_role in found.items()
    ]
    try:
        result = gain.matrix_fraction_of_scores(cells, {each.name: each.weight for each in shelf})
    except InputError:
        return {
            "fraction": None,
            "fraction_why": "a program tells neither standard errors nor how many items it scored",
        }
    return {"fraction": result.interval, "fraction_why": result.why}


def published_fraction(found: Found, shelf: list[Benchmark]) -> dict[str, Any]:
    """The fractions over published anchors, from scores and their errors, and what a reader has to know of them."""
    from pipeline import gain, published

    weights = {each.name: each.weight for each in shelf}
    scores = {name: {role: scored.score for role, scored in by_role.items()} for name, by_role in found.items()}
    told = [line for each in shelf for line in published.explained(each, scores[each.name]["model"])]
    result: dict[str, Any] = {"anchors_note": [*told, published.DIFFER, published.COVERED]}
    for key, floor in (("fraction", "base"), ("fraction_over_few_shot", "base_few_shot")):
        if all(floor in by_role for by_role in scores.values()):
            roles = ("model", floor, "instruct")
            cells = [
                gain.ScoreCell("model", name, *(published.with_error(by_role[role]) for role in roles))
                for name, by_role in scores.items()
            ]
            over = gain.matrix_fraction_of_scores(cells, weights, over=floor.replace("_", " "))
            result |= {key: over.interval, f"{key}_why": over.why}
    return result


def as_text(document: dict[str, Any], found: Found) -> str:
    """The scores as a table, a line for each model and benchmark."""
    configured = f"base, decoded as {terms.short(document['model'])}'s generation_config says"
    labels = {"model": document["model"], **{role: label for role, label in LABELS.items() if role in document}}
    labels |= {"instruct": reference_label(document["reference"])} if document.get("reference") else {}
    labels |= {terms.AS_CONFIGURED: configured} if terms.AS_CONFIGURED in document else {}
    width, named = max(map(len, labels.values())), max(map(len, ("benchmark", *found)))
    lines = [f"{'':{width}}  {'benchmark':{named}}  {'strict':>6} {'+-':>6}  lenient  stops  items  metric"]
    for role, label in labels.items():
        for score in (by_role[role].score for by_role in found.values() if role in by_role):
            stops = "-" if score.stops is None else f"{score.stops:.2f}"
            lenient = "-" if score.lenient is None else f"{score.lenient:.3f}"
            error = "-" if score.stderr is None else f"{score.stderr:.3f}"
            whence = score.source if score.source != "measured" else f"{score.role} split"
            lines.append(
                f"{label:{width}}  {score.benchmark:{named}}  {score.value:6.3f} {error:>6}  {lenient:>7}"
                f"  {stops:>5}  {score.n or '-':>5}  {score.metric}, {whence}"
            )
    lines += map(judging_text, document.get("judging", []))
    for points in document.get("gain_points", []):
        bounds = f"{points['value']:+.1f} [{points['low']:+.1f}, {points['high']:+.1f}]"
        lines.append(f"{points['benchmark']}: gain over the base, points  {bounds}")
    if document.get("fraction"):
        what = "fraction of the gain to the reference" if document.get("reference") else "fraction of the human gain"
        lines.append(f"{what}  {_interval(document['fraction'])}")
    elif "fraction" in document:
        lines.append(f"no fraction: {document['fraction_why']}")
    if document.get("fraction_over_few_shot"):
        lines.append(f"the same over the few-shot base  {_interval(document['fraction_over_few_shot'])}")
    lines += [f"  {line}" for line in document.get("anchors_note", [])]
    lines += anchored.lines(document.get("anchors_kept", []), LABELS)
    return "\n".join([*lines, *terms.lines(document), f"per-item results: {document['items']}"])


def reference_label(reference: dict[str, Any]) -> str:
    """The reference's row in the table."""
    if "model" in reference:
        return f"reference, {reference['model']}"
    return f"reference, {reference['note']}" if reference["note"] else "reference"


def _interval(found: Any) -> str:
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
