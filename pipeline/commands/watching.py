"""What a run tells while it works, as lines on stderr: what stays, and one line that is rewritten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline import console, scoring_progress


class Watcher:
    """Shows a run's news. One progress line serves all."""

    def __init__(self) -> None:
        self.progress = console.Progress()

    def __call__(self, news: Any) -> None:
        """One `pipeline.request.News`."""
        left = f"  [{console.duration(news.seconds_left)} of budget left]" if news.seconds_left is not None else ""
        if news.what == "started":
            self.progress.say(clipped(news.text) + left)
        elif news.what == "finished":
            self.progress.say(news.text + left)
        elif news.what != "progress":
            self.progress.say(news.text)
        elif news.trial is None:
            at = news.progress or {}
            self.progress(news.text, *(_scored(at) if at else ()))
        else:
            self._trial(news.text, news.progress or {}, left, news.seconds_left)

    def _trial(self, name: str, at: dict[str, Any], budget_left: str, seconds_left: float | None) -> None:
        """A trial's latest progress line (`training.PROGRESS`), as far as it tells something.

        The time left is that of the recipe as it was asked for; where the budget ends before, that alone is told.
        """
        step, steps = at.get("step"), at.get("steps")
        if "scored" in at:
            self.progress(f"{name}: scoring", *_scored(at), budget_left)
        elif not step or not steps:
            self.progress(f"{name}: starting", detail=budget_left)
        elif step >= steps:
            self.progress(f"{name}: scoring", detail=budget_left)
        else:
            pace = at.get("tokens_per_second")
            left = at["tokens"] / step * (steps - step) / pace if pace else None
            if left is not None and seconds_left is not None and left > seconds_left:
                left = None
            loss = f", loss {at['loss']:.3f}" if at.get("loss") is not None else ""
            self.progress(f"{name}: training", step / steps, left, loss + budget_left)

    def cell(self, name: str) -> Watcher:
        """The watcher of a matrix's cell."""
        self.progress.say(f"== {name}")
        return self

    def resolve(self, name: str, lab_seed: int) -> Path:
        """The folder of a model; building one is shown."""
        from pipeline import models

        return models.resolve(name, lab_seed, self.progress)


def _scored(at: dict[str, Any]) -> tuple[float, float | None]:
    """Share done and seconds left, of a line of `scoring_progress`."""
    return at["scored"], scoring_progress.seconds_left(at)


def clipped(text: str) -> str:
    """`text` as far as it fits on a line beside the time left; trials/ID/job.json has all of a recipe."""
    room = max(140, console.terminal_width()) - 30
    return text if len(text) <= room else f"{text[: room - 4]} ..."
