"""Who earned what in a run of several authors, how its budget was divided, what vetoes saved and a critic cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline import earnings
from pipeline.paths import digest
from pipeline.reporting.blocks import Block, Table, number, seconds
from pipeline.reporting.story import Event, Story

REVIEW, RULE = "review", "language model"  # the note of a critic that is one, and the rule of its vetoes
SHOWN_REASONS, SHOWN_CHARACTERS = 3, 160

# ---------------------------------------------------------------- numbers


def teamwork(story: Story) -> dict[str, Any]:
    """`team` of report.json: authors, rounds and vetoes; {} of a run with one author, no round and no veto."""
    found = earnings.earned(story.trials)
    rounds = {note["round"]: note for note in _named(story, "round")}  # a resumed run tells one again
    vetoes = _distinct(_named(story, "veto"))
    if len(found) < 2 and not rounds and not vetoes:
        return {}
    by_rule: dict[str, int] = {}
    for note in vetoes:
        by_rule[note["rule"]] = by_rule.get(note["rule"], 0) + 1
    return {
        "team": {
            "authors": [each.model_dump() for each in found.values()],
            "rounds": [{key: note[key] for key in ("round", "shares")} for _, note in sorted(rounds.items())],
            "vetoes": {
                "count": len(vetoes),
                "by_rule": by_rule,
                "saved_seconds": round(sum(float(note["seconds"]) for note in vetoes), 3),
                "saved_tokens": sum(int(note["tokens"]) for note in vetoes),
                "list": [_veto(note) for note in vetoes],
            },
            **_critic(story, vetoes),
        }
    }


def _critic(story: Story, vetoes: Iterable[Event]) -> dict[str, Any]:
    """`critic`: what a language model's reviews came to, cost and saved; nothing where none was held."""
    notes = _named(story, REVIEW)
    held = [note for note in notes if note.get("result") != "not asked"]
    if not notes:
        return {}
    results, own = Counter(str(note.get("result")) for note in held), [v for v in vetoes if v["rule"] == RULE]
    whys = Counter(str(note.get("why")) for note in held if note.get("result") == "handed over")
    dollars = [note.get("dollars") for note in held]
    options = story.run.get("agent_options") or {}
    return {
        "critic": {
            "model": options.get("llm") or None,
            "replayed": options.get("replay") or None,
            "reviews": len(held),
            "passed": results["passed"],
            "vetoed": results["vetoed"],
            "unanswered": results["handed over"],
            "reasons": dict(whys.most_common()),
            "not_asked": len({note.get("turn") for note in notes if note.get("result") == "not asked"}),
            "requests": sum(int(note.get("requests") or 0) for note in held),
            "tokens": sum(int(note.get("tokens") or 0) for note in held),
            "dollars": None if None in dollars else round(sum(each or 0.0 for each in dollars), 6),
            "seconds": round(sum(float(note.get("seconds") or 0.0) for note in held), 3),
            "saved_seconds": round(sum(float(note["seconds"]) for note in own), 3),
            "saved_tokens": sum(int(note["tokens"]) for note in own),
        }
    }


def _named(story: Story, name: str) -> list[Event]:
    return [note for note in story.notes if note.get("note") == name]


def _distinct(vetoes: Iterable[Event]) -> list[Event]:
    """Each vetoed proposal once: what is proposed and vetoed again saves nothing more."""
    kept: dict[str, Event] = {}
    for note in vetoes:
        proposal = note["proposal"]
        asked = [proposal.get("changes"), proposal.get("continues"), proposal.get("fidelity")]
        kept.setdefault(digest(asked), note)
    return list(kept.values())


def _veto(note: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: note[key] for key in ("author", "rule", "reason", "seconds", "tokens")}
    return kept | {"fidelity": note["proposal"].get("fidelity")}


# ---------------------------------------------------------------- words


def teamwork_blocks(report: Mapping[str, Any]) -> list[Block]:
    """The same as tables; none for a run of one author."""
    found = report.get("team")
    if not found:
        return []
    rounds, vetoes = found["rounds"], found["vetoes"]
    blocks: list[Block] = [_authors(found["authors"])]
    if rounds:
        names = list(rounds[0]["shares"])
        rows = tuple((str(each["round"]), *(f"{each['shares'].get(name, 0):.0%}" for name in names)) for each in rounds)
        blocks.append(Table("Rounds of the budget", rows, ("round", *names), note="each member's share of it"))
    if vetoes["count"]:
        saved = (
            f"saved {seconds(vetoes['saved_seconds'])} and {vetoes['saved_tokens']:,} tokens, as far as was measured"
        )
        rules = tuple((rule, str(count)) for rule, count in vetoes["by_rule"].items())
        blocks.append(Table(f"Vetoes: {vetoes['count']}", rules, ("rule", "proposals"), note=saved))
        rows = tuple((v["author"], v["rule"], v["reason"], seconds(v["seconds"])) for v in vetoes["list"])
        header = ("author", "rule", "reason", "saved")
        blocks.append(Table("All vetoes", rows, header, figures=False, long=True))
    return blocks + ([_critic_table(found["critic"])] if found.get("critic") else [])


def _critic_table(told: Mapping[str, Any]) -> Table:
    cost = "price unknown" if told["dollars"] is None else f"${told['dollars']:.4g}"
    rows = [
        ("model", f"{told['model'] or 'as recorded'}" + (", replayed from a record" if told["replayed"] else "")),
        ("reviews", f"{told['reviews']}: {told['passed']} passed, {told['vetoed']} vetoed, {told['unanswered']} without"
                    " an answer, which left it to the rules"),
        *(("no answer", f"{count} times: {why[:SHOWN_CHARACTERS]}")
          for why, count in list(told["reasons"].items())[:SHOWN_REASONS]),
        *([("not asked", f"at {told['not_asked']} trials: it had vetoed its share")] if told["not_asked"] else []),
        ("cost", f"{told['requests']} requests, {told['tokens']:,} tokens, {cost}, {seconds(told['seconds'])}"),
        ("its vetoes saved", f"{seconds(told['saved_seconds'])} and {told['saved_tokens']:,} training tokens, as far"
                             " as was measured"),
    ]  # fmt: skip
    return Table("Critic: a language model", tuple(rows), figures=False)


def _authors(authors: Iterable[Mapping[str, Any]]) -> Table:
    rows = [
        (
            each["author"] or "unnamed",
            str(each["trials"]),
            str(each["scored"]),
            f"{each['gain']:+.3f}",
            number(each["best"]),
            seconds(each["seconds"]),
            f"{each['tokens']:,}",
        )
        for each in authors
    ]
    note = "gain: by how much its trials raised the best search score, shared with whose trial they went on from"
    header = ("author", "trials", "scored", "gain", "best", "time", "tokens")
    return Table("Who earned what", tuple(rows), header, note=note)
