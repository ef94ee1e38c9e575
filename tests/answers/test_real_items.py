"""Real benchmark items, where they lie beside the project: gold answers count, in every style."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.answers.call_match import fault
from pipeline.answers.calls import lenient_calls, strict_calls
from pipeline.answers.numbers import lenient_number, same_number, strict_number

DATA = Path(__file__).parents[3] / "shared" / "data"
PARTS = ("simple_python", "multiple", "parallel", "parallel_multiple")


def rows(name: str) -> list[dict]:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]


def test_gold_solutions_of_gsm8k_have_the_gold_number():
    found = rows("gsm8k/test.jsonl")
    assert len(found) == 1319
    for row in found:
        gold = row["answer"].rpartition("####")[2].strip()
        assert same_number(strict_number(row["answer"]), gold) and same_number(lenient_number(row["answer"]), gold)
        wrong = row["answer"].replace(f"#### {gold}", f"#### {gold}1")
        assert not same_number(strict_number(wrong), gold)
        beside = f"{row['answer'].rpartition('####')[0]}#### {float(gold.replace(',', '')) + 1}"
        assert not same_number(strict_number(beside), gold) and not same_number(lenient_number(beside), gold)


def plain(value):
    """One of the accepted values of a parameter, and so on inside it."""
    if isinstance(value, dict):
        return {key: plain(first(options)) for key, options in value.items() if options != [""]}
    return [plain(each) for each in value] if isinstance(value, list) else value


def first(options):
    return next(option for option in options if option != "")


@pytest.mark.parametrize("part", PARTS)
def test_accepted_calls_of_bfcl_count_in_every_style(part):
    asked, answers = rows(f"bfcl/BFCL_v4_{part}.jsonl"), rows(f"bfcl/BFCL_v4_{part}_answers.jsonl")
    for item, key in zip(asked, answers, strict=True):
        accepted = key["ground_truth"]
        calls = [
            {
                "name": name,
                "arguments": {each: plain(first(v)) for each, v in wanted.items() if set(map(str, v)) != {""}},
            }
            for call in accepted
            for name, wanted in call.items()
        ]
        python = [f"{c['name']}({', '.join(f'{k}={v!r}' for k, v in c['arguments'].items())})" for c in calls]
        hermes = "".join(f"<tool_call>\n{json.dumps(call)}\n</tool_call>\n" for call in calls)
        for text in (json.dumps(calls), hermes, f"[{', '.join(reversed(python))}]"):
            assert fault(strict_calls(text), accepted, item["function"]) is None, (item["id"], text)
        assert fault(lenient_calls(f"Of course:\n{json.dumps(calls)}\n"), accepted, item["function"]) is None
        assert fault(strict_calls(json.dumps([*calls, calls[0]])), accepted, item["function"]) is not None
