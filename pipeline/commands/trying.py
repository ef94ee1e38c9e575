"""`posttrain try`: one question, asked a model as evaluation would ask it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline import console
from pipeline.commands import options
from pipeline.errors import InputError

if TYPE_CHECKING:
    from pipeline.types import Completion

FINAL = "final_model"


def try_model(
    model: Annotated[
        str, typer.Argument(metavar="DIR", help=f"A run's folder, its final_model/, an adapter, or {options.MODEL}")
    ],
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="What to ask; several are asked one by one. Default: stdin."),
    ] = None,
    system: Annotated[str | None, typer.Option(metavar="TEXT", help="A system message before each.")] = None,
    max_tokens: Annotated[int, typer.Option(metavar="N", min=1, max=100_000, help="Of each answer at most.")] = 256,
    temperature: Annotated[float, typer.Option(metavar="T", min=0, max=10, help="0 is greedy.")] = 0.0,
    seed: options.Seed = 0,
    base: options.AdapterBase = None,
    family: options.Family = "auto",
    thinking: options.Thinking = False,
    lab_seed: options.LabSeed = 0,
    yes: options.Yes = False,
    as_json: options.Json = False,
) -> None:
    """Ask a model one question, with its chat template, greedily.

    Each TEXT is a question of its own. Says when an answer did not end by itself.

    \b
    Examples:
      posttrain try runs/mine "What is the capital of France?"
      posttrain try smollm2-135m "Name a colour." "Say yes." --system "Answer in one word." --max-tokens 20
      posttrain try runs/mine/final_model < question.txt
    """
    from pipeline import models

    name = place_of(model)
    for each in filter(None, (name, base)):
        models.check(each)
    family = options.family(family)
    asked = list(texts) if texts else [_from_stdin()]
    if not all(text.strip() for text in asked):
        raise InputError("try: an empty text; see `posttrain try --help`")
    progress = console.Progress()
    with console.stdout_kept_clean():
        wanted = {"model": name} | ({"base": base} if base else {})
        folder = models.folders(wanted, lab_seed, progress, family)["model"]
        progress(f"loading {model}")
        answers = _answers(folder, asked, system, max_tokens, temperature, seed, thinking)
    progress.close()
    if as_json:
        console.document({"model": model, "folder": folder, "answers": _told(asked, answers)})
        return
    for number, (text, found) in enumerate(zip(asked, answers, strict=True)):
        if len(asked) > 1:
            print(f"{chr(10) * (number > 0)}> {text}")
        print(found.text, flush=True)
        if not found.stopped:
            progress.say(f"(did not stop: cut off after {found.tokens} tokens; --max-tokens N allows more)")


def _told(texts: list[str], answers: list[Completion]) -> list[dict[str, Any]]:
    """What --json tells of each question."""
    return [
        {"text": text, "answer": each.text, "stopped": each.stopped, "ending": each.ending, "tokens": each.tokens}
        for text, each in zip(texts, answers, strict=True)
    ]


def place_of(model: str) -> str:
    """The name of the model that is meant: of a run's folder its final model. Raises InputError if it has none yet."""
    folder = Path(model).expanduser()
    if folder.name == FINAL and not folder.is_dir():
        folder = folder.parent
    if not (folder / "run.json").is_file():
        return model
    if not (folder / FINAL).is_dir():
        raise InputError(
            f"{folder}: the run has no {FINAL}/ yet: end it with `posttrain search --resume {folder}` or "
            f"`posttrain finish {folder}`, or name a trial's folder"
        )
    return str(folder / FINAL)


def _from_stdin() -> str:
    if sys.stdin is None:
        raise InputError("try: no text; give one after DIR")
    if sys.stdin.isatty():
        print("text, then Ctrl-D on a line of its own:", file=sys.stderr)
    try:
        return sys.stdin.read().strip()
    except UnicodeDecodeError:
        raise InputError("stdin: not UTF-8 text") from None


def _answers(
    folder: Path, texts: list[str], system: str | None, max_tokens: int, temperature: float, seed: int, thinking: bool
) -> list[Completion]:
    from pipeline.engines.hf import open_engine
    from pipeline.types import Request

    engine = open_engine(str(folder), seed=seed, thinking=thinking)
    before: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    requests = [
        Request(messages=(*before, {"role": "user", "content": text}), max_tokens=max_tokens, temperature=temperature)
        for text in texts
    ]
    return [found[0] for found in engine.generate(requests)]
