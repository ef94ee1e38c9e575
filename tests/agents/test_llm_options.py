"""llm: its options, and those that it has not, are checked before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline import agent_options
from pipeline.errors import InputError
from tests.agents import llm_runs

quick = llm_runs.quick  # the fixture


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "no language model is named: give --llm, or --replay"),
        ({"llm": "gpt-5"}, "not a language model; write openai:MODEL"),
        ({"llm": "openai"}, "name its model, as in openai:MODEL"),
        ({"llm": "openai:gpt-5"}, "no key: set OPENAI_API_KEY in the environment"),
        ({"llm": "http://127.0.0.1:8000/v1"}, "name the server's model after a #"),
        ({"llm": "http://127.0.0.1:8000/v1#m", "llm_budget": "5usd"}, "price is not known, so --llm-budget cannot be"),
        ({"llm": "http://127.0.0.1:8000/v1#m", "llm_budget": "5"}, "not an amount; write it as 5usd"),
        ({"llm": "http://127.0.0.1:8000/v1#m", "llm_budget": "0tok"}, "not an amount"),
        ({"llm": "http://127.0.0.1:8000/v1#m", "llm_budget": "-1usd"}, "not an amount"),
        ({"llm": "http://127.0.0.1:8000/v1#m", "llm_share": 1.5}, "--llm-share: must be less than or equal to 1"),
        ({"llm": "http://127.0.0.1:8000/v1#m", "llm_context": 10}, "--llm-context: must be greater than or equal"),
        ({"llm": "http://127.0.0.1:8000/v1#m", "temperature": 1}, "--temperature: the agent 'llm' takes no such"),
        ({"replay": "nowhere.jsonl"}, "nowhere.jsonl: no record of exchanges"),
    ],
)
def test_wrong_options_are_said_in_a_line_before_anything_runs(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        agent_options.check("llm", options)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_an_agent_without_options_refuses_them() -> None:
    with pytest.raises(InputError, match="--llm-budget: the agent 'random' takes no such option: omit it"):
        agent_options.check("random", {"llm_budget": "5usd"})


@pytest.mark.parametrize("content", ["", "[]\n", '{"kind": "started"}\n', '{"kind": "came", "turn": 1, "number": 0}\n'])
def test_a_file_that_is_no_record_is_not_replayed(tmp_path: Path, content: str) -> None:
    path = tmp_path / "record.jsonl"
    path.write_text(content)
    with pytest.raises(InputError, match=r"record\.jsonl"):
        agent_options.check("llm", {"replay": str(path)})
