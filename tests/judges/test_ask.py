"""Asking a judge over HTTP: replies that are kept, patience that ends, budgets that hold."""

from __future__ import annotations

import itertools
import json
import os
import threading
import time

import pytest

from pipeline.errors import InputError, JudgeError
from pipeline.judges import ask, client, store
from pipeline.judges.ask import Asker, Question
from pipeline.providers import client as providers
from pipeline.types import Judge
from tests.scripted_judge import scripted


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    """An empty cache, no waiting, no keys but those of a test."""
    monkeypatch.setenv("POSTTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(ask, "WAITS_SECONDS", (0.0, 0.0, 0.0))
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "POSTTRAIN_JUDGE_KEY", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def yes_or_no(reply):
    return {"yes": True, "no": False}.get(reply)


def rule(judge, prompts, **options):
    told = []
    asker = Asker(Judge(name=judge.name, **options) if not isinstance(judge, Judge) else judge, say=told.append)
    return asker.rule([Question(prompt, "Be just.") for prompt in prompts], yes_or_no), told


def verdicts(rulings):
    return [ruling.verdict for ruling in rulings]


def test_each_question_gets_its_own_verdict_in_order():
    with scripted(lambda prompt: "yes" if int(prompt) % 3 else "no") as judge:
        found, _ = rule(judge, [str(number) for number in range(40)])
        assert verdicts(found) == [bool(number % 3) for number in range(40)]
        assert sorted(map(int, judge.asked)) == list(range(40))
        body = judge.bodies[0]
    assert body["messages"][0] == {"role": "system", "content": "Be just."}
    assert (body["model"], body["temperature"]) == ("scripted", 0.0)


def test_no_questions_are_no_requests():
    with scripted(lambda prompt: "yes") as judge:
        assert rule(judge, []) == ([], [])


def test_a_few_requests_run_at_a_time():
    now, most, lock = [0], [0], threading.Lock()

    def slowly(prompt):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.05)
        with lock:
            now[0] -= 1
        return "yes"

    with scripted(slowly) as judge:
        rule(judge, [str(number) for number in range(24)])
    assert 2 <= most[0] <= ask.REQUESTS_AT_ONCE


def test_what_was_asked_before_is_kept_for_its_owner_and_asked_anew_if_anything_differs(tmp_path, monkeypatch):
    monkeypatch.setenv("POSTTRAIN_JUDGE_KEY", "very secret")
    with scripted(lambda prompt: "yes") as judge:
        first, _ = rule(judge, ["a", "b"])
        again, _ = rule(judge, ["a", "b", "c"])
        assert [ruling.kept for ruling in first] == [False, False]
        assert [ruling.kept for ruling in again] == [True, True, False] and len(judge.asked) == 3
        rule(Judge(name=f"{judge.url}#another"), ["a"])
        assert len(judge.asked) == 4 and set(judge.keys) == {"Bearer very secret"}
    files = [path for path in (tmp_path / "home").rglob("*.json") if path.is_file()]
    assert len(files) == 4 and not [path for path in files if "very secret" in path.read_text()]
    assert os.name != "posix" or {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_a_damaged_reply_in_the_cache_is_asked_for_again(tmp_path):
    with scripted(lambda prompt: "yes") as judge:
        rule(judge, ["a"])
        [path] = (tmp_path / "home" / store.FOLDER).rglob("*.json")
        path.write_text('{"text": "ye')
        assert verdicts(rule(judge, ["a"])[0]) == [True] and len(judge.asked) == 2


def test_a_reply_without_a_verdict_is_asked_for_once_more_and_both_are_kept():
    replies = iter(["perhaps", "no", "perhaps", "perhaps"])
    with scripted(lambda prompt: next(replies)) as judge:
        assert verdicts(rule(judge, ["a"])[0]) == [False]
        assert verdicts(rule(judge, ["b"])[0]) == [None]
        again, _ = rule(judge, ["a", "b"])
        assert verdicts(again) == [False, None] and all(ruling.kept for ruling in again) and len(judge.asked) == 4


@pytest.mark.parametrize("status", [429, 500, 503, 529])
def test_a_busy_judge_is_asked_again_where_the_user_can_see_it(status):
    replies = iter([status, status, "yes"])
    with scripted(lambda prompt: next(replies)) as judge:
        found, told = rule(judge, ["a"])
    assert verdicts(found) == [True]
    assert len(told) == 2 and f"HTTP {status}" in told[0] and told[0].endswith("again in 0 s (1 of 3)")


def test_as_long_as_the_judge_asks_to_wait_is_waited_within_reason(monkeypatch):
    waited = []
    monkeypatch.setattr(ask.time, "sleep", waited.append)
    replies = iter([429, "yes"])
    with scripted(lambda prompt: next(replies)) as judge:
        judge.retry_after = "900"
        rule(judge, ["a"])
    assert ask.LONGEST_WAIT_SECONDS in waited and 900.0 not in waited


def test_patience_ends_the_score_is_refused_and_what_came_is_kept():
    with scripted(lambda prompt: 503 if prompt == "bad" else "yes") as judge:
        with pytest.raises(JudgeError) as caught:
            rule(judge, ["a", "b", "bad"])
        assert "HTTP 503" in str(caught.value) and "4 times in a row" in str(caught.value)
        assert "verdicts are missing, so there is no score" in str(caught.value) and "\n" not in str(caught.value)
        assert judge.asked.count("bad") == 4
        judge.answer = lambda prompt: "no"
        assert verdicts(rule(judge, ["a", "b", "bad"])[0]) == [True, True, False]


def test_a_server_that_is_not_there_or_talks_something_else_is_given_up():
    with scripted(lambda prompt: "yes") as judge:
        gone = judge.name
    with pytest.raises(JudgeError, match="no connection"):
        rule(Judge(name=gone), ["a"])
    with scripted(lambda prompt: "yes") as judge:
        judge.reply = lambda path, body: (200, {"hello": "world"})
        with pytest.raises(JudgeError, match="what came was no reply"):
            rule(judge, ["a"])


def test_a_reply_that_does_not_come_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(providers, "TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(ask, "WAITS_SECONDS", ())
    with scripted(lambda prompt: time.sleep(1.0) or "yes") as judge, pytest.raises(JudgeError, match="no reply within"):
        rule(judge, ["a"])


@pytest.mark.parametrize(("status", "said"), [(401, "POSTTRAIN_JUDGE_KEY"), (404, "model's name"), (400, "will not")])
def test_a_judge_that_refuses_is_asked_once_and_no_key_is_repeated(status, said, monkeypatch):
    monkeypatch.setenv("POSTTRAIN_JUDGE_KEY", "very-secret")
    with scripted(lambda prompt: status) as judge:
        judge.reply = lambda path, body, reply=judge.reply: (
            reply(path, body)[0],
            {"error": {"message": "very-secret"}},
        )
        with pytest.raises(InputError, match=said) as caught:
            rule(judge, ["a"])
        assert len(judge.asked) == 1 and "very-secret" not in str(caught.value) and "***" in str(caught.value)


def test_openai_and_anthropic_are_asked_with_their_own_keys_and_forms(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "o-key")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "a-key")
    with scripted(lambda prompt: "yes") as judge:
        monkeypatch.setenv("OPENAI_BASE_URL", judge.url)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", judge.url.removesuffix("/v1"))
        paid = [rule(Judge(name=name), ["a"])[0][0].dollars for name in ("openai", "anthropic:claude-haiku-4-5")]
        assert [key.removeprefix("Bearer ") for key in judge.keys] == ["o-key", "a-key"]
        ours, theirs = judge.bodies
    assert (ours["model"], ours["reasoning_effort"]) == ("gpt-5-mini", "medium")
    assert ours["max_completion_tokens"] == providers.MAX_TOKENS and "temperature" not in ours
    assert (theirs["model"], theirs["system"]) == ("claude-haiku-4-5", "Be just.")
    assert theirs["messages"] == [{"role": "user", "content": "a"}] and theirs["max_tokens"] == providers.MAX_TOKENS
    assert paid == pytest.approx([(100 * 0.25 + 10 * 2.0) / 1e6, (100 * 1.0 + 10 * 5.0) / 1e6])


def test_a_server_of_one_s_own_never_gets_openai_s_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "o-key")
    with scripted(lambda prompt: "yes") as judge:
        rule(judge, ["a"])
        assert judge.keys == ["Bearer none"]


def test_an_empty_account_is_not_waited_for(monkeypatch):
    with scripted(lambda prompt: 429) as judge:
        judge.reply = lambda path, body, reply=judge.reply: (
            reply(path, body)[0],
            {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}},
        )
        with pytest.raises(InputError, match="You exceeded your quota"):
            rule(judge, ["a"])
        assert len(judge.asked) == 1


# ---------------------------------------------------------------- before anything is asked


def test_what_is_missing_is_said_before_anything_is_asked(monkeypatch):
    with pytest.raises(InputError, match="benchmark 'b' is scored by a judge and none is given: name one with --judge"):
        client.check(None, "benchmark 'b'")
    with pytest.raises(InputError, match="set OPENAI_API_KEY in the environment"):
        client.check(Judge(name="openai"))
    with pytest.raises(InputError, match="its price is not known, so --judge-budget cannot be kept.*gpt-5-mini"):
        client.check(Judge(name="http://127.0.0.1:1/v1#m", budget=1.0))
    monkeypatch.setattr(providers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"openai is not installed: pip install 'posttrain\[judges\]'"):
        client.check(Judge(name="http://127.0.0.1:1/v1#m"))


# ---------------------------------------------------------------- budgets

MOST = (2 * 0.25 + providers.MAX_TOKENS * 2.0) / 1e6  # of one short question to gpt-5-mini, in dollars


@pytest.fixture
def priced(monkeypatch):
    """A judge at OpenAI's prices."""
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with scripted(lambda prompt: "yes") as judge:
        monkeypatch.setenv("OPENAI_BASE_URL", judge.url)
        yield judge


def test_a_budget_is_never_exceeded_even_by_requests_in_flight(priced, tmp_path):
    purse = tmp_path / "purse.json"
    budget = 1.5 * MOST  # two requests at once could exceed it
    asker = Asker(Judge(name="openai", budget=budget, purse=str(purse)))
    found = asker.rule([Question(f"{number}") for number in range(30)], yes_or_no)
    spent = json.loads(purse.read_text())["dollars"]
    assert all(ruling.verdict for ruling in found) and spent == pytest.approx(sum(ruling.dollars for ruling in found))
    with pytest.raises(JudgeError, match=r"budget of .* is spent: raise --judge-budget"):
        Asker(Judge(name="openai", budget=MOST * 0.9)).rule([Question("new")], yes_or_no)
    assert len(priced.asked) == 30


def test_all_processes_of_a_run_share_one_purse(priced, tmp_path):
    purse = tmp_path / "purse.json"
    purse.write_text('{"dollars": 0.99}')
    with pytest.raises(JudgeError, match="is spent"):
        Asker(Judge(name="openai", budget=1.0, purse=str(purse))).rule([Question("a")], yes_or_no)
    purse.write_text("nonsense")
    with pytest.raises(JudgeError, match="what was spent is not known"):
        Asker(Judge(name="openai", budget=1.0, purse=str(purse))).rule([Question("a")], yes_or_no)
    assert not priced.asked


def test_a_failed_request_costs_nothing_unless_the_judge_may_have_worked(priced, tmp_path, monkeypatch):
    purse = tmp_path / "purse.json"
    replies = itertools.chain([500, "yes"], itertools.repeat("yes"))
    priced.answer = lambda prompt: next(replies)
    asker = Asker(Judge(name="openai", budget=1.0, purse=str(purse)), say=lambda text: None)
    [ruling] = asker.rule([Question("a")], yes_or_no)
    assert asker.purse.spent() == pytest.approx(ruling.dollars)
    monkeypatch.setattr(ask, "WAITS_SECONDS", ())
    priced.reply = lambda path, body: (200, {"hello": "world"})
    with pytest.raises(JudgeError):
        asker.rule([Question("b")], yes_or_no)
    assert asker.purse.spent() > ruling.dollars + 0.9 * MOST
