"""What a report says of a language model that proposed: its turns, what they cost, how well it predicts."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pipeline.reporting.blocks import Block, Table, number
from pipeline.reporting.story import Story

TURN, WAIT, AUTHOR = "llm_turn", "llm_wait", "llm"
SHOWN_REASONS = 3
SHOWN_CHARACTERS = 160


def proposer(story: Story) -> dict[str, Any] | None:
    """Figures about the model's turns, proposals and predictions; None where none was asked."""
    turns = [note for note in story.notes if note.get("note") == TURN]
    if not turns:
        return None
    options = story.run.get("agent_options") or {}
    handed = [turn for turn in turns if not turn.get("proposed")]
    dollars = [turn.get("dollars") for turn in turns]
    return {
        "model": options.get("llm") or None,
        "replayed": options.get("replay") or None,
        "turns": len(turns),
        "proposed_at_once": sum(bool(turn.get("proposed")) and not turn.get("repairs") for turn in turns),
        "proposed_after_repair": sum(bool(turn.get("proposed") and turn.get("repairs")) for turn in turns),
        "handed_over": len(handed),
        "reasons": dict(Counter(str(turn.get("why") or "no reason given") for turn in handed).most_common()),
        "waits": sum(note.get("note") == WAIT for note in story.notes),
        "requests": sum(int(turn.get("requests") or 0) for turn in turns),
        "tokens": sum(int(turn.get("tokens") or 0) for turn in turns),
        "dollars": None if None in dollars else round(sum(each or 0.0 for each in dollars), 6),
        "prediction": prediction(story),
    }


def prediction(story: Story) -> dict[str, Any]:
    """How the scores that authors expected compare with those that came, over all scored trials that say so.

    `correlation` is Spearman's, of ranks: whether what was expected to be better was better. None under three pairs,
    or where all are alike.
    """
    pairs = [
        (trial.id, trial.proposal.predicted, trial.score.value)
        for trial in story.tried
        if trial.proposal.predicted is not None and trial.score is not None
    ]
    errors, n = [predicted - came for _, predicted, came in pairs], len(pairs)
    return {
        "n": n,
        "mean_error": sum(errors) / n if n else None,
        "mean_absolute_error": sum(map(abs, errors)) / n if n else None,
        "correlation": _spearman([each[1] for each in pairs], [each[2] for each in pairs]),
        "pairs": [{"trial": name, "predicted": predicted, "scored": came} for name, predicted, came in pairs],
    }


def _spearman(a: list[float], b: list[float]) -> float | None:
    """The correlation of ranks, ties sharing their mean rank."""
    if len(a) < 3:
        return None
    x, y = _ranks(a), _ranks(b)
    mean = (len(a) + 1) / 2
    over = sum((p - mean) * (q - mean) for p, q in zip(x, y, strict=True))
    under = (sum((p - mean) ** 2 for p in x) * sum((q - mean) ** 2 for q in y)) ** 0.5
    return over / under if under else None


def _ranks(values: list[float]) -> list[float]:
    below = [sum(other < value for other in values) for value in values]
    return [rank + (1 + values.count(value)) / 2 for rank, value in zip(below, values, strict=True)]


def warning(found: dict[str, Any] | None) -> str:
    """What must not be overlooked: the model's turns were mostly taken by the optimiser."""
    if not found or 2 * found["handed_over"] < found["turns"]:
        return ""
    own, why = found["turns"] - found["handed_over"], next(iter(found["reasons"]), "")[:SHOWN_CHARACTERS]
    return f"The language model proposed in {own} of its {found['turns']} turns only ({why})"


def blocks(found: dict[str, Any] | None) -> list[Block]:
    """The same in words."""
    if not found:
        return []
    cost = "price unknown" if found["dollars"] is None else f"${found['dollars']:.4g}"
    told = found["prediction"]
    rows = [
        ("model", f"{found['model'] or 'as recorded'}" + (", replayed from a record" if found["replayed"] else "")),
        ("turns", f"{found['turns']}: {found['proposed_at_once']} proposals at once,"
                  f" {found['proposed_after_repair']} after repair, {found['handed_over']} handed to the optimiser"),
        *(("handed over", f"{count} times: {why[:SHOWN_CHARACTERS]}")
          for why, count in list(found["reasons"].items())[:SHOWN_REASONS]),
        ("cost", f"{found['requests']} requests, {found['tokens']:,} tokens, {cost}"
                 + (f"; {found['waits']} waits" if found["waits"] else "")),
        ("predictions", _predictions(told)),
    ]  # fmt: skip
    lines = tuple((each["trial"], number(each["predicted"]), number(each["scored"])) for each in told["pairs"])
    header = ("trial", "predicted", "scored")
    more = [Table("Predicted and scored", lines, header, long=True)] if lines else []
    return [Table("Language model", tuple(rows), figures=False), *more]


def _predictions(told: dict[str, Any]) -> str:
    if not told["n"]:
        return "none"
    rank = "" if told["correlation"] is None else f", rank correlation {told['correlation']:.2f}"
    return (
        f"{told['n']}, off by {told['mean_absolute_error']:.3f} on average ({told['mean_error']:+.3f} with their sign)"
        + rank
    )
