"""What a run tells while it works, as lines on stderr: what stays, and one line that is rewritten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline import console


class Watcher:
    """Shows a run's news. One progress line serves all."""

    def __init__(self) -> None:
        self.progress = console.Progress()

    def __call__(self, news: Any) -> None:
        """One `pipeline.request.News`."""
        left = f"  [{console.duration(news.seconds_left)} of budget left]" if news.seconds_left is not None else ""
        if news.what != "progress":
            self.progress.say(clipped(news.text) + (left if news.what in ("started", "finished") else ""))
        elif news.progress:
            self.progress(f"{news.text}: {told(news.progress)}{left}")

    def cell(self, name: str) -> Watcher:
        """The watcher of a matrix's cell."""
        self.progress.say(f"== {name}")
        return self

    def resolve(self, name: str, lab_seed: int) -> Path:
        """The folder of a model; building one is shown."""
        from pipeline import models

        return models.resolve(name, lab_seed, self.progress)


def clipped(text: str) -> str:
    """`text` as far as it fits on a line beside the time left; trials/ID/job.json has all of a recipe."""
    room = max(100, console.terminal_width()) - 30
    return text if len(text) <= room else f"{text[: room - 4]} ..."


def told(progress: dict[str, Any]) -> str:
    """A trial's progress in a few words."""
    words = {key: f"{value:.3g}" if isinstance(value, float) else str(value) for key, value in progress.items()}
    return ", ".join(f"{key} {word}" for key, word in words.items())
