"""One request: bounded in time and size whatever the server does, and asked in the manner that it takes."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from pipeline.errors import InputError
from pipeline.fake_provider import PLAYS, FakeProvider, Reply
from pipeline.providers import exchange
from pipeline.providers.client import Form, open_client
from pipeline.providers.exchange import Busy
from pipeline.providers.names import PROPOSER, parse

FORM = Form("answer", {"type": "object"})


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "POSTTRAIN_LLM_KEY", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def ask(provider, seconds=20.0, form=None):
    return open_client(parse(provider.name, PROPOSER)).ask("Be just.", ["{}", "hm", "again"], form, seconds)


def test_turns_are_the_user_s_and_the_model_s_by_turns():
    with FakeProvider() as provider:
        assert ask(provider).input_tokens == 1000
    roles = [message["role"] for message in provider.requests[0]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize("play", ["stalls", "drips"])
def test_a_reply_that_never_ends_is_left_when_the_time_is_over(play):
    begun = time.monotonic()
    with FakeProvider(play) as provider, pytest.raises(Busy, match=r"no reply within 0\.\d+ s") as caught:
        ask(provider, 0.3)
    assert time.monotonic() - begun < 10 and caught.value.may_be_billed


def test_a_body_that_is_too_long_is_not_read_to_its_end():
    with FakeProvider("huge") as provider, pytest.raises(Busy, match="the reply is longer than 4 MB"):
        ask(provider)


def test_only_what_may_have_reached_the_model_may_be_billed():
    with FakeProvider("hangs_up") as provider, pytest.raises(Busy) as caught:
        ask(provider)
    assert caught.value.may_be_billed
    with pytest.raises(Busy, match="no connection") as caught:  # nobody listens there any more
        ask(provider)
    assert not caught.value.may_be_billed


@pytest.mark.parametrize(
    ("told", "low", "high"),
    [
        ("7", 7, 7),
        ("-3", 0, 0),
        ("soon", None, None),
        ("1e99", 86_400, 86_400),
        ("in 600 s, a date", 500, 600),
    ],
)
def test_a_server_says_in_seconds_or_by_a_date_how_long_to_wait(monkeypatch, told, low, high):
    def busy(*_):
        return Reply("busy", 429, {"Retry-After": formatdate(time.time() + 600) if told.endswith("date") else told})

    monkeypatch.setitem(PLAYS, "busy", busy)
    with FakeProvider("busy") as provider, pytest.raises(Busy) as caught:
        ask(provider)
    wait = caught.value.wait_seconds
    assert wait is None if low is None else low <= wait <= high


@pytest.mark.parametrize(("play", "requests"), [("no_forms", 3), ("no_system", 4), ("good", 2)])
def test_what_a_server_does_not_take_is_left_out_then_and_later(play, requests):
    with FakeProvider(play) as provider:
        asked = open_client(parse(provider.name, PROPOSER))
        assert [asked.ask("Be just.", ["{}"], FORM, 20.0).text for _ in range(2)]
        assert len(provider.requests) == requests
    has_form = "response_format" in provider.requests[-1]
    assert has_form is (play == "good")
    assert (provider.requests[-1]["messages"][0]["role"] == "system") is (play != "no_system")


def test_a_form_is_tried_again_after_what_had_nothing_to_do_with_it(monkeypatch):
    monkeypatch.setitem(PLAYS, "full", lambda *_: Reply("full", 503))
    with FakeProvider("full") as provider:
        asked = open_client(parse(provider.name, PROPOSER))
        for _ in range(2):
            with pytest.raises(Busy):
                asked.ask("", ["{}"], FORM, 20.0)
    assert all("response_format" in body for body in provider.requests)


def test_errors_are_one_printable_line_without_the_key(monkeypatch):
    monkeypatch.setenv("POSTTRAIN_LLM_KEY", "very-secret-key")
    monkeypatch.setitem(PLAYS, "rude", lambda *_: Reply("\x1b[31mno\nto very-secret-key\u202e", 403))
    with FakeProvider("rude") as provider, pytest.raises(InputError) as caught:
        ask(provider)
    text = str(caught.value)
    assert "very-secret-key" not in text and text.isprintable() and "no to ***" in text


@pytest.mark.parametrize("told", [None, -5, "many", 10**12])
def test_counts_of_tokens_that_cannot_be_are_none(told):
    reply = exchange._clean(parse("http://h/v1#m", PROPOSER), exchange.Reply("a\ud800b", told, 7))
    assert (reply.text, reply.input_tokens, reply.output_tokens) == ("a?b", 0, 7)


@pytest.mark.parametrize(
    ("said", "held"),
    [
        ("This model's maximum context length is 2048 tokens. However, you requested 2500 tokens in total.", 2048),
        ("'max_tokens' is too large: 1536. This model's maximum context length is 2048 tokens", 2048),
        ("the request exceeds the available context size (4096 tokens), try increasing it", 4096),
        ("request (3110 tokens) exceeds the available context size, n_ctx: 1024", 1024),
        ("the model is loaded with context length of only 4096 tokens, which is not enough", 4096),
        ("prompt is too long: 210000 tokens > 200000 maximum", 200000),
        ("the context window is full", None),
    ],
)
def test_a_refusal_for_length_is_known_by_its_words_with_the_length_that_is_held(monkeypatch, said, held):
    monkeypatch.setitem(PLAYS, "small", lambda *_: Reply(said, 400))
    with FakeProvider("small") as provider, pytest.raises(exchange.TooLong) as caught:
        ask(provider, form=FORM)
    assert caught.value.held == held and len(provider.requests) == 1  # no other manner would help


@pytest.mark.parametrize("status", [401, 404])
def test_other_refusals_are_not_for_length(monkeypatch, status):
    monkeypatch.setitem(PLAYS, "no", lambda *_: Reply("no model with that context window", status))
    with FakeProvider("no") as provider, pytest.raises(InputError) as caught:
        ask(provider)
    assert not isinstance(caught.value, exchange.TooLong)


def context_of(name):
    return open_client(parse(name, PROPOSER)).context()


def test_how_long_a_context_is_is_told_by_the_list_of_models_or_not_at_all():
    with FakeProvider(context=4096) as provider:
        assert context_of(provider.name) == 4096
        assert context_of(f"{provider.url}#another") is None
        url = provider.url
    assert context_of(f"{url}#fake") is None  # nobody is there
    with FakeProvider(context=4096, lists=False) as provider:
        assert context_of(provider.name) is None


@pytest.mark.parametrize(
    ("listed", "found"),
    [
        ({"meta": {"n_ctx": 2048, "n_ctx_train": 8192}}, 2048),
        ({"max_context_length": 32768, "loaded_context_length": 4096}, 4096),
        ({"context_length": 16384}, 16384),
        ({"max_model_len": "many", "meta": "none"}, None),
        ({"max_model_len": -1}, None),
        ({"max_model_len": True}, None),
    ],
)
def test_every_server_calls_it_otherwise(monkeypatch, listed, found):
    with FakeProvider(context=1) as provider:
        monkeypatch.setattr("pipeline.fake_provider.MODEL", {"id": "fake", "max_model_len": None, **listed})
        assert context_of(provider.name) == found
