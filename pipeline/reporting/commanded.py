"""What a report says of a command-line agent: its sessions, what they cost, and what it could have reached."""

from __future__ import annotations

from typing import Any

from pipeline.reporting.blocks import Block, Table, seconds
from pipeline.reporting.story import Event, Story

TERMS, SESSION, REFUSED = "agent_terms", "agent_session_end", "agent_refused_host"
KEPT = ("session", "why", "seconds", "calls", "lines", "tokens", "dollars", "said")
TRANSCRIPT = "agent/transcript.jsonl"


def commanded(story: Story) -> dict[str, Any] | None:
    """`command_agent` of report.json; None of a run with another agent. The last terms, all leaks."""
    terms = _named(story, TERMS)
    if not terms:
        return None
    sessions = [{key: note.get(key) for key in KEPT} for note in _named(story, SESSION)]
    leaks = {leak: None for note in terms for leak in note.get("could_have_leaked") or ()}
    return {
        **{key: terms[-1].get(key) for key in ("agent", "freedom", "sandbox", "hosts")},
        "unsealed_because": _why(terms),
        "could_have_leaked": list(leaks),
        "refused_hosts": sorted({str(note.get("host")) for note in _named(story, REFUSED)}),
        "sessions": sessions,
        "tokens": _sum(sessions, "tokens"),
        "dollars": _sum(sessions, "dollars"),
        "transcript": TRANSCRIPT if (story.folder / TRANSCRIPT).is_file() else None,
        "left_out_lines": max((int(note.get("left_out") or 0) for note in _named(story, SESSION)), default=0),
    }


def unsealed(story: Story) -> bool:
    """Whether an agent ran without a sandbox, and so could have read what is sealed."""
    return _why(_named(story, TERMS)) is not None


def _why(terms: list[Event]) -> str | None:
    return next((str(note["unsealed_because"]) for note in terms if note.get("unsealed_because")), None)


def _named(story: Story, name: str) -> list[Event]:
    return [note for note in story.notes if note.get("note") == name]


def _sum(sessions: list[dict[str, Any]], key: str) -> Any:
    """Over the sessions that told of it; None if none did."""
    told = [session[key] for session in sessions if session[key] is not None]
    return round(sum(told), 6) if told else None


# ---------------------------------------------------------------- words


def warning(found: dict[str, Any] | None) -> str:
    """What must not be overlooked: the agent was outside of the sandbox."""
    if not found or not found["unsealed_because"]:
        return ""
    reached = "the final items, the instruct model and all that its user may read"
    return f"Not sealed: the agent ran without a sandbox ({found['unsealed_because']}) and could have reached {reached}"


def blocks(found: dict[str, Any] | None) -> list[Block]:
    """The same as tables."""
    if not found:
        return []
    tokens = "not told" if found["tokens"] is None else f"{found['tokens']:,} tokens"
    dollars = "" if found["dollars"] is None else f", ${found['dollars']:.4g}"
    left_out = f"; {found['left_out_lines']} lines left out" if found["left_out_lines"] else ""
    rows = [
        ("agent", f"{found['agent']}, freedom {found['freedom']}"),
        ("sandbox", "none" if found["unsealed_because"] else str(found["sandbox"])),
        ("network", ", ".join(found["hosts"]) or "none"),
        ("refused", ", ".join(found["refused_hosts"])),
        ("could leak", "; ".join(found["could_have_leaked"])),
        ("sessions", f"{len(found['sessions'])}, {sum(each['calls'] or 0 for each in found['sessions'])} calls"),
        ("cost", tokens + dollars),
        ("transcript", f"{found['transcript'] or 'none'}{left_out}"),
    ]
    if found["unsealed_because"]:
        rows[2] = ("network", "all of it")
    shown = tuple(row for row in rows if row[1])
    lines = tuple(
        (str(each["session"]), seconds(each["seconds"]), str(each["calls"]), str(each["why"]), each["said"] or "")
        for each in found["sessions"]
    )
    header = ("session", "time", "calls", "it", "its last words")
    more = [Table("Sessions of the agent", lines, header, figures=False, long=True)] if lines else []
    return [Table("Command-line agent", shown, figures=False), *more]
