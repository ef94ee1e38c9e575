"""What counts against the budget, on a clock that the test turns."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.clock import Clock
from pipeline.fakes import FakeTime


class Story:
    """A ledger of notes and the clock that writes it; `owner()` is the next process that takes the run over."""

    def __init__(self) -> None:
        self.time = FakeTime()
        self.events: list[dict[str, Any]] = []

    def note(self, name: str, **fields: Any) -> None:
        self.events.append({"note": name, **fields})

    def owner(self, last_beat: float | None = None, counts_on: bool = False) -> Clock:
        clock = Clock(self.note, self.time)
        clock.replay(list(self.events), last_beat, counts_on)
        return clock


@pytest.fixture
def story() -> Story:
    return Story()


def test_nothing_counts_before_the_clock_runs_or_after_it_stops(story: Story) -> None:
    clock = story.owner()
    story.time.pass_(30)
    clock.run()
    story.time.pass_(5)
    clock.stop()
    story.time.pass_(30)
    assert clock.used() == pytest.approx(5)


def test_starting_and_stopping_twice_changes_nothing(story: Story) -> None:
    clock = story.owner()
    clock.run()
    story.time.pass_(2)
    clock.run()
    story.time.pass_(3)
    clock.stop()
    clock.stop()
    assert clock.used() == pytest.approx(5)
    assert [event["state"] for event in story.events] == ["runs", "stops"]


def test_what_happens_outside_is_itemised_and_does_not_count(story: Story) -> None:
    clock = story.owner()
    clock.run()
    story.time.pass_(1)
    with clock.outside("anchors"):
        story.time.pass_(20)
    story.time.pass_(2)
    assert clock.used() == pytest.approx(3)
    assert clock.outside_seconds == {"anchors": pytest.approx(20)}
    assert [event for event in story.events if event["note"] == "outside"][0]["seconds"] == pytest.approx(20)


def test_what_fails_outside_is_outside_all_the_same(story: Story) -> None:
    clock = story.owner()
    clock.run()
    with pytest.raises(ValueError), clock.outside("anchors"):
        story.time.pass_(20)
        raise ValueError
    story.time.pass_(2)
    assert clock.used() == pytest.approx(2)


def test_time_without_an_owner_does_not_count(story: Story) -> None:
    first = story.owner()
    first.run()
    story.time.pass_(10)
    first.stop()
    story.time.pass_(1000)
    second = story.owner()
    assert second.used() == pytest.approx(10)
    second.run()
    story.time.pass_(4)
    assert second.used() == pytest.approx(14)


def test_after_a_kill_time_counts_up_to_the_last_sign_of_life(story: Story) -> None:
    story.owner().run()
    story.time.pass_(10)
    beat = story.time()
    story.time.pass_(1000)
    resumed = story.owner(last_beat=beat)
    assert resumed.used() == pytest.approx(10)
    assert story.events[-1] == {"note": "clock", "state": "stops", "at": beat}
    story.time.pass_(1000)
    assert story.owner().used() == pytest.approx(10)  # the next owner finds it settled


def test_an_event_after_the_last_beat_is_a_sign_of_life_too(story: Story) -> None:
    story.owner().run()
    beat = story.time()
    story.time.pass_(7)
    story.note("anything", at=story.time())
    story.time.pass_(50)
    assert story.owner(last_beat=beat).used() == pytest.approx(7)


def test_a_kill_while_outside_counts_nothing_of_it(story: Story) -> None:
    clock = story.owner()
    clock.run()
    story.time.pass_(3)
    anchors = clock.outside("anchors")
    anchors.__enter__()  # and never leaves
    story.time.pass_(20)
    assert story.owner(last_beat=story.time()).used() == pytest.approx(3)


def test_a_run_driven_by_steps_counts_between_its_owners_until_it_stops(story: Story) -> None:
    story.owner(counts_on=True).run()
    story.time.pass_(100)
    second = story.owner(counts_on=True)
    assert second.used() == pytest.approx(100)
    second.stop()
    story.time.pass_(100)
    assert story.owner(counts_on=True).used() == pytest.approx(100)
