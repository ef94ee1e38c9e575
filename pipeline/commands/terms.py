"""What `evaluate` says of the terms it scored under: protocol, repeated answers, the base under MODEL's settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.types import Benchmark

AS_CONFIGURED = "base_as_configured"
SHOWN_K = (1, 5, 10, 25, 50, 100)


def configured_as(folders: dict[str, Path]) -> Path | None:
    """The model's folder, if its generation_config.json would have it decoded otherwise than the base; else None."""
    from pipeline import decoding

    if not {"model", "base"} <= folders.keys() or not folders["model"].is_dir():  # recorded answers: a label
        return None
    return folders["model"] if decoding.set_apart(folders["model"], folders["base"]) else None


def document(
    found: dict[str, dict[str, Any]], shelf: Sequence[Benchmark], protocol: str, folders: dict[str, Path]
) -> dict[str, Any]:
    """The protocol, its weighted averages by role, what the model's generation_config.json alone brings."""
    from pipeline import protocols

    told: dict[str, Any] = {"protocol": protocols.name_of(protocol)}
    if protocol != protocols.OWN:
        terms = protocols.load(protocol)
        roles = [role for role in ("model", "base", "instruct") if all(role in by_role for by_role in found.values())]
        told["items_are"] = "whole test set" if all(map(protocols.is_whole_test, shelf)) else "split"
        told["weighted_average"] = {
            role: terms.average({"": {name: by[role].score.value for name, by in found.items()}}) for role in roles
        }
        told["benchmarks_missing"] = [name for name in terms.weights if name not in found]
    rows = [_as_configured(found[each.name], each, folders) for each in shelf if AS_CONFIGURED in found[each.name]]
    return told | ({AS_CONFIGURED: rows} if rows else {})


def _as_configured(by_role: dict[str, Any], benchmark: Benchmark, folders: dict[str, Path]) -> dict[str, Any]:
    from pipeline import decoding, gain

    scored, base = by_role[AS_CONFIGURED], by_role["base"]
    items = [[item["strict"] for item in each.items] for each in (scored, base)]
    return {
        **scored.score.model_dump(),
        "difference_points": gain.gain_points(*items),
        "further_ends": decoding.further_ends(folders["model"], folders["base"]),
        "not_followed": decoding.of_model(folders["model"], benchmark.decoding.own or "transformers").not_followed,
    }


def lines(told: dict[str, Any]) -> list[str]:
    """The same in words, and how often items were answered."""
    from pipeline.decoding import describe
    from pipeline.types import Decoding

    said = []
    for score in told["scores"]:
        if not score.metric.endswith(", strict"):
            continue
        if score.repeats > 1:
            how = describe(score.decoding) if score.decoding else f"{score.repeats} answers per item"
            drawing = "" if score.stderr_within is None else f"; drawing alone makes +- {score.stderr_within:.3f}"
            said.append(f"{score.benchmark}: {how}{drawing}{_passes(score)}")
        elif score.decoding and score.decoding.temperature > 0:
            said.append(f"{score.benchmark}: {describe(score.decoding)}")
    for row in told.get(AS_CONFIGURED, []):
        how = describe(Decoding.model_validate(row["decoding"]))
        ends = f", ended by tokens {', '.join(map(str, row['further_ends']))}, too" if row["further_ends"] else ""
        rest = f"; not followed: {', '.join(row['not_followed'])}" if row["not_followed"] else ""
        points = row["difference_points"]
        interval = f"{points.value:+.1f} [{points.low:+.1f}, {points.high:+.1f}] points"
        brings = f"generation_config alone ({how}{ends}) brings the base {interval}{rest}"
        said.append(f"{row['benchmark']}: {short(told['model'])}'s {brings}")
    if "weighted_average" in told:
        averages = ", ".join(f"{role} {value:.3f}" for role, value in told["weighted_average"].items())
        missing = told["benchmarks_missing"]
        without = f" (without {', '.join(missing)}, the other weights scaled up)" if missing else ""
        items = ", on the whole test sets" if told["items_are"] == "whole test set" else ""
        said.append(f"protocol {told['protocol']}{items}: weighted average {averages}{without}")
    return said


def short(model: str) -> str:
    """A model's name, a folder's without its place."""
    return Path(model).resolve().name if Path(model).is_dir() else model


def _passes(score: Any) -> str:
    passes = score.pass_at_k or {}
    return "".join(f", pass@{k} {passes[str(k)]:.3f}" for k in SHOWN_K if str(k) in passes)
