"""How long a trial may train so that the search ends with its budget. Pure."""

from __future__ import annotations

from collections.abc import Sequence

SLACK_SHARE, SLACK_SECONDS = 0.02, 2.0  # a search ends within the larger of these of its budget
CUT_AT = 0.6  # of the slack: what then still runs is killed, which leaves time to write that down
RECENT = 4  # trials that the estimate looks back on
ODD_ONE_OUT = 3  # from this many on, the slowest of them is taken for an accident, such as workers that had to start
UNMEASURED_SHARE, UNMEASURED_SECONDS = 0.1, 10.0  # put aside before anything was measured: the smaller of these
CLOSING_SHARE = 0.2  # of a budget with a deadline is kept free at most for scoring the final models
MOST_SHARE = 0.5  # of the budget is put aside at most: a first trial always starts
SMALLEST_SHARE, SMALLEST_SECONDS = 0.01, 0.5  # training shorter than the larger of these is not worth starting


def cut_seconds(budget_seconds: float) -> float:
    """Counted seconds at which a running trial is killed."""
    return budget_seconds + CUT_AT * max(SLACK_SHARE * budget_seconds, SLACK_SECONDS)


def before_deadline(budget_seconds: float | None, used: float, left: float) -> float:
    """The budget that keeps a deadline `left` counted seconds away, the time to cut a trial that overstays included."""
    reach = max(0.0, used + left)
    whole = reach if budget_seconds is None else min(budget_seconds, reach)
    return max(0.0, min(whole, reach - (cut_seconds(whole) - whole)))


def train_seconds(left: float, measured: Sequence[float], budget_seconds: float) -> float:
    """Seconds that a trial started now may train; 0 if that is too short to be worth it.

    `measured`: what earlier trials took beside their training, in the order of time.
    """
    found = left - beside_training(measured, budget_seconds)
    return found if found >= max(SMALLEST_SHARE * budget_seconds, SMALLEST_SECONDS) else 0.0


def beside_training(measured: Sequence[float], budget_seconds: float) -> float:
    """Seconds to keep free for all but training, mostly for scoring: nearly the most of recent ones, and a tenth.

    The most and not the mean: too little costs a whole trial, which is cut while it is scored; too much costs some
    seconds of the last one.
    """
    if not measured:
        return min(UNMEASURED_SHARE * budget_seconds, UNMEASURED_SECONDS)
    slowest_first = sorted(measured[-RECENT:], reverse=True)
    slow = slowest_first[1 if len(slowest_first) >= ODD_ONE_OUT else 0]
    return min(1.1 * slow, MOST_SHARE * budget_seconds)
