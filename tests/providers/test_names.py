"""What a model may be called, and that no key stands in a name."""

from __future__ import annotations

import pytest

from pipeline.errors import InputError
from pipeline.providers.names import JUDGE, Address, parse


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("openai:gpt-4.1", Address("openai", "gpt-4.1")),
        ("openai", Address("openai", "gpt-5-mini")),
        ("openai:", Address("openai", "gpt-5-mini")),
        (" anthropic:claude-sonnet-4-5 ", Address("anthropic", "claude-sonnet-4-5")),
        ("http://127.0.0.1:8000/v1#my model", Address("server", "my model", "http://127.0.0.1:8000/v1")),
        ("https://judges.example/v1/#a/b:c", Address("server", "a/b:c", "https://judges.example/v1")),
    ],
)
def test_a_name_is_a_provider_or_a_server_and_a_model(name, address):
    assert parse(name, JUDGE) == address and parse(str(address), JUDGE) == address


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "not a judge; write openai:MODEL"),
        ("gpt-5-mini", "not a judge; write openai:MODEL"),
        ("google:gemini", "not a judge"),
        ("anthropic", "anthropic:MODEL"),
        ("anthropic:", "anthropic:MODEL"),
        ("http://127.0.0.1:8000/v1", "name the server's model after a #, as in http://127.0.0.1:8000/v1#MODEL"),
        ("http://#m", "not a URL"),
        ("http://host:port/v1#m", "not a URL"),
        ("http://me:secret@host/v1#m", "POSTTRAIN_JUDGE_KEY"),
        ("https://host/v1?key=secret#m", "POSTTRAIN_JUDGE_KEY"),
    ],
)
def test_a_wrong_name_says_what_to_write_and_repeats_no_key(name, said):
    with pytest.raises(InputError) as caught:
        parse(name, JUDGE)
    assert said in str(caught.value) and "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "effort"),
    [
        ("openai:gpt-5-mini", "medium"),
        ("openai:o4-mini", "medium"),
        ("openai:gpt-4o", None),
        ("openai:gpt-5-chat-latest", None),
        ("anthropic:claude-sonnet-4-5", None),
        ("http://127.0.0.1:1/v1#gpt-5-mini", None),
    ],
)
def test_openai_s_reasoning_models_think_with_medium_effort(name, effort):
    assert parse(name, JUDGE).effort == effort


def test_each_provider_has_its_own_key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "o")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "a")
    monkeypatch.delenv("POSTTRAIN_JUDGE_KEY", raising=False)
    assert [parse(name, JUDGE).key for name in ("openai", "anthropic:m", "http://h/v1#m")] == ["o", "a", None]
