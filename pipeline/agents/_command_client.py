"""`posttrain` in an agent's working folder: the doors of one run, and nothing else. Needs Python and nothing of ours.

It finds the run by `session.json` beside it: the address of a local socket, and a token that opens that run's doors to
this agent. One JSON object goes there and lines of JSON come back (`pipeline.owner.wire`).
"""

import argparse
import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

VERSION = 1
HERE = Path(__file__).resolve().parent
SILENCE_SECONDS = 120.0  # a living owner says something every second
EXAMPLE = """examples:
  posttrain brief
  posttrain propose --changes '{"stages.0.params.learning_rate": 2e-4}'
  posttrain step --changes '{"stages.0.params.learning_rate": 2e-4}' --fidelity 0.25 --rationale "a lower rate"
  posttrain remaining"""


class Refused(Exception):
    """The run said no; its text says why and what to do."""


def ask(name: str, **arguments: Any) -> Any:
    """What the run answers. Raises Refused."""
    told = json.loads((HERE / "session.json").read_text())
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(SILENCE_SECONDS)
            connection.connect(told["address"])
            request = {"v": VERSION, "token": told["token"], "ask": name, "with": arguments}
            connection.sendall(json.dumps(request).encode() + b"\n")
            for line in connection.makefile("rb"):
                answer = json.loads(line)
                if "result" in answer:
                    return answer["result"]
                if "error" in answer:
                    raise Refused(answer["error"].get("text", "refused"))
                _tell(answer.get("news") or {})
    except OSError as error:
        raise Refused(f"the run does not answer ({error}): its time may be over") from None
    raise Refused("the run ended before it answered")


def _tell(news: dict[str, Any]) -> None:
    """How a trial goes, on a terminal only: a log of progress is no use to anybody."""
    if sys.stderr.isatty():
        at = news.get("progress") or {}
        step = f" step {at.get('step')} of {at.get('steps')}" if at.get("step") else ""
        print(f"\r{news.get('text', '')}{step}   ", end="", file=sys.stderr, flush=True)


# ---------------------------------------------------------------- in words


def summary(trial: dict[str, Any]) -> str:
    """A trial in one line."""
    outcome, name = trial.get("outcome") or {}, f"{trial['id']} {trial['state']}"
    scores = outcome.get("scores") or []
    if scores:
        labels = f" [{', '.join(outcome['labels'])}]" if outcome.get("labels") else ""
        error = f" +- {scores[0]['stderr']:.4f}" if scores[0].get("stderr") is not None else ""
        seconds = (outcome.get("cost") or {}).get("seconds") or 0.0
        length = f" at fidelity {outcome.get('fidelity') or 0.0:.3g}" if trial.get("kind") == "recipe" else ""
        return f"{name} {scores[0]['value']:.4f}{error}{length}{labels} ({seconds:.1f} s)"
    return f"{name}: {why(trial)}" if trial["state"] != "pending" else f"{name}: it runs"


def why(trial: dict[str, Any]) -> str:
    """Why a trial has no score."""
    refused = [verdict["reason"] for verdict in trial.get("verdicts") or () if not verdict["ok"]]
    return str((trial.get("outcome") or {}).get("error") or next(iter(refused), "no reason is known"))


def left(found: dict[str, Any], budget: dict[str, Any]) -> str:
    """What is left, in one line."""
    parts = []
    if found.get("seconds") is not None:
        parts.append(f"{found['seconds']:.0f} s of {budget['seconds']:.0f} s")
    if found.get("trials") is not None:
        parts.append(f"{found['trials']} of {budget['trials']} trials")
    if found.get("dollars") is not None:
        parts.append(f"{found['dollars']:.2f} dollars")
    return "left: " + (", ".join(parts) or "no limit")


def row(trial: dict[str, Any]) -> str:
    """A line of `trials`."""
    score = f"{trial['score']:.4f}" if trial.get("score") is not None else "-"
    more = trial.get("error") or json.dumps(trial["changes"])
    return f"{trial['id']:<16} {trial['state']:<10} {score:>8} {trial['fidelity']:>7.3g}  {more}"


# ---------------------------------------------------------------- the verbs


def document(given: argparse.Namespace) -> int:
    """`brief`, `space`, `catalogue`, `trial`: JSON, as it is."""
    arguments = {"trial": given.trial} if given.verb == "trial" else {}
    print(json.dumps(ask(given.verb, **arguments), indent=2))
    return 0


def proposal(given: argparse.Namespace) -> dict[str, Any]:
    """The proposal of the command line. Raises Refused if its changes are no JSON object."""
    try:
        changes = json.loads(given.changes)
    except ValueError as error:
        raise Refused(f"--changes: not JSON ({error})") from None
    if not isinstance(changes, dict):
        raise Refused("--changes: an object of dotted paths and values is needed")
    found = {"changes": changes, "fidelity": given.fidelity, "continues": given.continues, "rationale": given.rationale}
    return found | ({"predicted": given.predicted} if given.predicted is not None else {})


def propose(given: argparse.Namespace) -> int:
    """Would it be admitted, and what would it cost?"""
    found = ask("propose", proposal=proposal(given))
    if given.json:
        print(json.dumps(found, indent=2))
    elif found["ok"]:
        train = found.get("train_seconds")
        price = f"about {train:.0f} s of training" if train is not None else "nothing was measured yet"
        print(f"ok: {price}{'' if found.get('fits') in (True, None) else '; more than is left: it would be cut short'}")
    else:
        print(f"refused: {found['reason']}", file=sys.stderr)
    return 0 if found["ok"] else 1


def run_trial(given: argparse.Namespace) -> int:
    """`step`, `start`, `submit`: a trial, in words or as JSON."""
    if given.verb == "submit":
        path = os.path.abspath(given.path[-1])
        return told(ask("submit", path=path, rationale=given.rationale), given.json)
    trial = ask(given.verb, proposal=proposal(given))
    if given.verb == "start" and trial["state"] == "pending":
        remember([*started(), trial["id"]])
    return told(trial, given.json)


def started() -> list[str]:
    """Trials that were started here and that `wait` has not brought yet."""
    try:
        return list(json.loads((HERE / "started.json").read_text()))
    except (OSError, ValueError):
        return []


def remember(trials: list[str]) -> None:
    """Keep them for `wait`."""
    (HERE / "started.json").write_text(json.dumps(trials))


def told(trial: dict[str, Any], as_json: bool) -> int:
    """Print a trial; 1 if it came to nothing."""
    print(json.dumps(trial, indent=2) if as_json else summary(trial))
    return 0 if trial["state"] in ("scored", "pending") else 1


def wait(given: argparse.Namespace) -> int:
    """The next that ends of the trials named, or of those that were started here, or of those that run."""
    found = ask("wait", trials=given.trials or started() or None, seconds=given.timeout)
    if found is None:
        print(json.dumps(None) if given.json else "nothing has ended, or nothing runs")
        return 1
    remember([name for name in started() if name != found["id"]])
    return told(found, given.json)


def trials(given: argparse.Namespace) -> int:
    """All trials, a line each."""
    found = ask("trials")
    print(json.dumps(found, indent=2) if given.json else "\n".join(map(row, found)))
    return 0


def remaining(given: argparse.Namespace) -> int:
    """What is left of the budget."""
    found = ask("remaining")
    if given.seconds:
        print(int(found["seconds"]) if found["seconds"] is not None else "")
    else:
        print(json.dumps(found) if given.json else left(found, ask("budget")))
    return 0


def compare(given: argparse.Namespace) -> int:
    """Two trials, paired by item."""
    found = ask("compare", a=given.a, b=given.b)
    beyond = "beyond noise" if found["resolved"] else "not beyond noise"
    text = f"{given.a} - {given.b} = {found['difference']:+.4f} on {found['items']} items, p {found['p']:.3f}: {beyond}"
    print(json.dumps(found, indent=2) if given.json else text)
    return 0


def rows(given: argparse.Namespace) -> int:
    """Training rows of a source, as JSON Lines."""
    start, total = 0, 1
    while start < total:
        found = ask("rows", source=given.source, start=start)
        total, start = found["total"], start + max(1, len(found["rows"]))
        for each in found["rows"]:
            print(json.dumps(each))
    return 0


def mcp(given: argparse.Namespace) -> int:
    """Serve the same doors as MCP tools on stdin and stdout: what MCP configurations start."""
    told = json.loads((HERE / "session.json").read_text())
    if not told.get("mcp"):
        raise Refused("no MCP here: the package mcp is not installed where the run is")
    os.environ.update(told["mcp"]["env"])
    os.execv(told["mcp"]["argv"][0], [*told["mcp"]["argv"], str(HERE)])


# ---------------------------------------------------------------- the command line


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="posttrain", description="The run's doors.", epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    verbs = made.add_subparsers(dest="verb", metavar="VERB", required=True)

    def add(name: str, does: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        verb = verbs.add_parser(name, help=text, description=text)
        verb.add_argument("--json", action="store_true", help="print JSON")
        verb.set_defaults(does=does)
        return verb

    add("brief", document, "the task: model, benchmark, recipe, space, data cards, budget (JSON)")
    add("space", document, "what a proposal may change: path -> kind, bounds, choices (JSON)")
    add("catalogue", document, "the data sources with sample rows (JSON)")
    add("trials", trials, "all trials, a line each")
    add("trial", document, "one trial in full (JSON)").add_argument("trial", metavar="ID")
    seconds = add("remaining", remaining, "what is left of the budget")
    seconds.add_argument("--seconds", action="store_true", help="whole seconds, nothing else")
    for name, does, text in (
        ("propose", propose, "check a proposal and price it; nothing is run"),
        ("step", run_trial, "train and score a proposal, and wait for it"),
        ("start", run_trial, "start a trial and return at once"),
    ):
        verb = add(name, does, text)
        verb.add_argument("--changes", metavar="JSON", default="{}", help="an object of dotted paths and values")
        verb.add_argument("--fidelity", metavar="X", type=float, default=1.0, help="share of the full length")
        verb.add_argument("--continues", metavar="ID", help="train on from this trial's checkpoint")
        verb.add_argument("--rationale", metavar="TEXT", default="", help="why; kept with the trial")
        verb.add_argument("--predicted", metavar="X", type=float, help="the search score that you expect")
    waiting = add("wait", wait, "the next trial that ends, or one of those named")
    waiting.add_argument("trials", metavar="ID", nargs="*")
    waiting.add_argument("--timeout", metavar="S", type=float, help="seconds to wait at most")
    two = add("compare", compare, "two trials on the items of both: is one better beyond noise?")
    two.add_argument("a", metavar="ID")
    two.add_argument("b", metavar="ID")
    sent = add("submit", run_trial, "have a checkpoint that you trained scored (--freedom code)")
    sent.add_argument("path", metavar="PATH", nargs="+", help="its folder; one more before it is not read")
    sent.add_argument("--rationale", metavar="TEXT", default="", help="how it was made")
    add("rows", rows, "training rows of a source, JSON Lines (--freedom code)").add_argument("source", metavar="NAME")
    add("mcp", mcp, "serve the doors as MCP tools on stdin and stdout")
    return made


def main() -> int:
    """0 done; 1 it came to nothing; 2 it was refused, with the reason on stderr."""
    given = parser().parse_args()
    try:
        return int(given.does(given))
    except Refused as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 1


if __name__ == "__main__":
    sys.exit(main())
