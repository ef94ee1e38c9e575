"""bfcl: a function as a tool, a gold call that is Python text, and one Hermes call that has to be identical to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import benchmarks, evaluate
from pipeline.errors import DataError, InputError
from pipeline.scorers import harness
from pipeline.set_items import utils
from pipeline.types import Completion, ItemsKey
from tests import tiny_models
from tests.answers.test_real_items import first, plain, rows

FOLDER = benchmarks.load_benchmark("bfcl").folder
TASK = utils(FOLDER)
FUNCTION = {
    "name": "geo.area",
    "description": "An area.",
    "response": {"type": "float"},
    "parameters": {
        "type": "dict",
        "properties": {
            "n": {"type": "integer"},
            "p": {"type": "float"},
            "at": {"type": "tuple", "items": {"type": "float"}},
            "type": {"type": "string"},
            "more": {"type": "dict", "properties": {"deep": {"type": "any"}}},
        },
        "required": ["n"],
    },
}


def row(gold: str, number: int = 0, function: dict = FUNCTION, asked: str = "Which area?") -> dict:
    return {
        "id": f"exec_simple_{number}",
        "question": [[{"role": "user", "content": asked}]],
        "function": [function],
        "ground_truth": [gold],
        "execution_result_type": ["exact_match"],
    }


def hermes(arguments: object, name: str = "geo.area") -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def judged(gold: str, answer: str) -> tuple[float, float]:
    result = TASK.process_results(TASK.item(row(gold), 0, 0), [answer])
    return result["strict"], result["lenient"]


@pytest.mark.parametrize(
    ("gold", "arguments"),
    [
        ("geo.area(n=20, p=0.6)", {"n": 20, "p": 0.6}),
        ("geo.area(n=-5, p=-1e-3)", {"p": -0.001, "n": -5}),
        ("geo.area(20, 0.5)", {"n": 20, "p": 0.5}),
        ("geo.area(n=5, p=5.0)", {"n": 5.0, "p": 5}),
        ("geo.area(n=1, at=(1, -2.5))", {"n": 1, "at": [1, -2.5]}),
        ("geo.area(n=1, at=[(1, 2), (3, 4)])", {"n": 1, "at": [[1, 2], [3, 4]]}),
        ("geo.area(more={'deep': {'a': [True, None]}, 'b': ()})", {"more": {"b": [], "deep": {"a": [True, None]}}}),
        ("geo.area(n=1, more={1: 'one'})", {"n": 1, "more": {"1": "one"}}),
        ("geo.area(n=True)", {"n": True}),
        ("geo.area(type='it\\'s (a, b) = \"c\"')", {"type": "it's (a, b) = \"c\""}),
        ("geo.area(type='Zürich\\n')", {"type": "Zürich\n"}),
        ("geo.area(type=lambda x: x ** 2)", {"type": "lambda x: x ** 2"}),
        ("[geo.area(n=1)]", {"n": 1}),
        ("geo.area()", {}),
    ],
)  # fmt: skip
def test_the_gold_call_is_read_and_an_identical_one_counts(gold, arguments):
    assert judged(gold, hermes(arguments)) == (1, 1)
    assert judged(gold, f"<think>\nHm, geo.area(n=3).\n</think>\n\n{hermes(arguments)}\n") == (1, 1)


GOLD = "geo.area(n=5, p=0.5, at=(1, 2), type='m2', more={'deep': 'x'})"
RIGHT = {"n": 5, "p": 0.5, "at": [1, 2], "type": "m2", "more": {"deep": "x"}}
NEAR = [
    {**RIGHT, "n": "5"},
    {**RIGHT, "n": 5.1},
    {**RIGHT, "n": True},
    {**RIGHT, "n": None},
    {**RIGHT, "n": [5]},
    {**RIGHT, "p": "0.5"},
    {**RIGHT, "at": [2, 1]},
    {**RIGHT, "at": [1]},
    {**RIGHT, "at": "(1, 2)"},
    {**RIGHT, "type": "M2"},
    {**RIGHT, "type": "m2 "},
    {**RIGHT, "more": {"deep": "x", "deeper": 1}},
    {**RIGHT, "more": {}},
    {**RIGHT, "extra": 1},
    {key: value for key, value in RIGHT.items() if key != "type"},
    {("N" if key == "n" else key): value for key, value in RIGHT.items()},
]


@pytest.mark.parametrize("arguments", NEAR, ids=json.dumps)
def test_a_near_miss_does_not_count(arguments):
    assert judged(GOLD, hermes(RIGHT)) == (1, 1)
    assert judged(GOLD, hermes(arguments)) == (0, 0)


PYTHON = "geo.area(n=5, p=0.5, at=(1, 2), type='m2', more={'deep': 'x'})"
BARE = json.dumps({"name": "geo.area", "arguments": RIGHT})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (hermes(RIGHT), (1, 1)),
        (hermes(RIGHT).replace("\n", ""), (1, 1)),
        (hermes(RIGHT).removesuffix("</tool_call>"), (1, 1)),  # as the Hermes parser reads it, too
        (hermes(RIGHT).replace('"name"', '"id": 1, "name"'), (1, 1)),
        (f"I call it.\n{hermes(RIGHT)}", (0, 1)),
        (f"{hermes(RIGHT)}\nDone.", (0, 1)),
        (PYTHON, (0, 1)),
        (f"```python\n{PYTHON}\n```", (0, 1)),
        (f"The call is {PYTHON}, I think.", (0, 1)),
        ("geo.area(5, 0.5, (1, 2), 'm2', {'deep': 'x'})", (0, 1)),
        (BARE, (0, 1)),
        (f"[{BARE}]", (0, 1)),
        (f"<tool_call>{PYTHON}</tool_call>", (0, 1)),
        (f"<function_call>{BARE}</function_call>", (0, 1)),
        (hermes(RIGHT).replace("arguments", "parameters"), (0, 1)),
        (hermes(json.dumps(RIGHT)), (0, 1)),
        (f"{hermes(RIGHT)}\n{hermes(RIGHT)}", (0, 0)),
        (f"{hermes(RIGHT)}\n{hermes({'n': 1})}", (0, 0)),
        (f"<tool_call>[{BARE}, {BARE}]</tool_call>", (0, 0)),
        (hermes(RIGHT, "area"), (0, 0)),
        (hermes(RIGHT, "geo_area"), (0, 0)),
        (hermes(RIGHT).replace('"n": 5', '"n": 5, "n": 5'), (0, 0)),
        (hermes(RIGHT)[:-20], (0, 0)),
        ("<tool_call></tool_call>", (0, 0)),
        ("No function fits.", (0, 0)),
        ("", (0, 0)),
    ],
)
def test_exactly_one_hermes_call_is_strict_and_other_styles_are_lenient(answer, expected):
    assert judged(GOLD, answer) == expected


@given(st.text() | st.text().map(lambda text: f"<tool_call>{text}</tool_call>"))
def test_any_answer_is_read_without_an_error(answer):
    assert judged(GOLD, answer) == (0, 0)


LITERALS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(list(FUNCTION["parameters"]["properties"])), LITERALS))
def test_whatever_literals_the_gold_has_its_own_json_counts(arguments):
    gold = f"geo.area({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"
    assert judged(gold, hermes(arguments)) == (1, 1)


@pytest.mark.parametrize(
    "truth",
    [[], ["f("], ["f(1); g(2)"], ["5"], ["f(**x)"], ["a(n=1)", "b(n=2)"], ["geo.area(1, 2, 3, 4, 5, 6)"], [7], None],
)
def test_a_gold_that_is_not_one_call_names_its_row(truth):
    with pytest.raises(DataError, match="exec_simple_0: ground_truth .* is not one call"):
        TASK.item({**row(""), "ground_truth": truth}, 0, 0)


def test_a_tool_is_a_function_in_openais_form_with_json_schemas_types():
    [made] = TASK.item(row("geo.area(n=1)"), 0, 0)["tools"]
    assert made["type"] == "function" and list(made["function"]) == ["name", "description", "parameters"]
    assert made["function"]["name"] == "geo.area"
    assert made["function"]["parameters"] == {
        "type": "object",
        "properties": {
            "n": {"type": "integer"},
            "p": {"type": "number"},
            "at": {"type": "array", "items": {"type": "number"}},
            "type": {"type": "string"},
            "more": {"type": "object", "properties": {"deep": {"type": "string"}}},
        },
        "required": ["n"],
    }
    assert FUNCTION["parameters"]["type"] == "dict"  # the row is left as it is


# ---------------------------------------------------------------- as a benchmark


@pytest.fixture
def put(tmp_path, monkeypatch):
    """Writes the local copy of the data set."""
    monkeypatch.setenv("POSTTRAIN_DATA_ROOT", str(tmp_path))

    def write(made: list[dict]) -> None:
        (tmp_path / "bfcl").mkdir(exist_ok=True)
        (tmp_path / "bfcl" / "BFCL_v3_exec_simple.jsonl").write_text("\n".join(map(json.dumps, made)))

    return write


def hundred() -> list[dict]:
    return [row(f"geo.area(n={i})", i, asked=f"Which area has {i}?") for i in range(100)]


def test_a_hundred_questions_are_divided_into_search_examples_and_final(put):
    put(hundred())
    benchmark = benchmarks.load_benchmark("bfcl")
    search, shots, final = (benchmarks.items(benchmark, split, ItemsKey()) for split in ("search", "fewshot", "final"))
    assert 25 <= len(search) <= 55 and 35 <= len(final) <= 65 and len(shots) == benchmark.few_shot
    assert not {item["id"] for item in (*search, *shots)} & {item["id"] for item in final}
    assert not {item["id"] for item in search} & {item["id"] for item in shots}


def test_a_missing_copy_and_a_row_of_another_form_are_one_line(put, tmp_path):
    benchmark = benchmarks.load_benchmark("bfcl")
    with pytest.raises(DataError, match="simple.jsonl is missing: put a copy of BFCL_v3_exec_simple.json of gorilla-l"):
        benchmarks.items(benchmark, "search", ItemsKey())
    put([*hundred(), {"id": "exec_simple_100", "question": [[{"content": "Why?"}]]}])
    with pytest.raises(DataError, match=r"'bfcl': exec_simple, row 101: of another form \(no 'function'\)"):
        benchmarks.items(benchmark, "search", ItemsKey())


class Oracle:
    """Answers every request with the gold call of its item, in Hermes' tags."""

    def __init__(self, items: list[dict]) -> None:
        self.gold = {item["id"]: item["answer"] for item in items}

    def generate(self, requests):
        self.asked = list(requests)
        return [[Completion(text=TASK.few_shot_answer({"answer": self.gold[each.item]}), stopped=True, tokens=9)]
                for each in requests]  # fmt: skip


def test_tools_reach_the_engine_in_chat_and_stand_in_the_text_of_the_few_shot_form(put):
    put(hundred())
    benchmark = benchmarks.load_benchmark("bfcl")
    items, shots = (benchmarks.items(benchmark, split, ItemsKey()) for split in ("search", "fewshot"))
    oracle = Oracle(items)
    assert {result["strict"] for result in harness.score(oracle, benchmark, items)} == {1.0}
    assert [list(request.tools) for request in oracle.asked] == [item["tools"] for item in items]
    assert [request.messages for request in oracle.asked] == [
        ({"role": "user", "content": item["question"]},) for item in items
    ]
    assert {result["strict"] for result in harness.score(oracle, benchmark, items, 3, shots)} == {1.0}
    assert all(not request.tools and request.text.count("Functions: {") == 4 for request in oracle.asked)


@pytest.mark.parametrize("name", tiny_models.FAMILIES)
def test_a_model_of_each_family_is_scored(put, name):
    put(hundred())
    benchmark = benchmarks.load_benchmark("bfcl").model_copy(update={"max_tokens": 8})
    items = benchmarks.items(benchmark, "search", ItemsKey(), 2)
    found = evaluate.evaluate(tiny_models.untrained(name), benchmark, items, "search", dtype="float32")
    assert found.score.value == 0.0 and found.score.n == 2


def test_plain_lm_eval_which_hands_no_tools_over_is_refused():
    from lm_eval.tasks import TaskManager

    with pytest.raises(InputError, match="score it with `posttrain evaluate`, or run bfcl_ast"):
        TaskManager(include_defaults=False).load([str(Path(FOLDER) / "bfcl.yaml")])


def test_the_same_rule_on_real_functions_of_simple_python(put):
    asked, answers = rows("bfcl/BFCL_v4_simple_python.jsonl"), rows("bfcl/BFCL_v4_simple_python_answers.jsonl")
    made, calls = [], []
    for item, key in zip(asked, answers, strict=True):
        [(name, wanted)] = key["ground_truth"][0].items()
        arguments = {each: plain(first(v)) for each, v in wanted.items() if set(map(str, v)) != {""}}
        calls.append((name, arguments))
        gold = f"{name}({', '.join(f'{each}={value!r}' for each, value in arguments.items())})"
        made.append({**item, "ground_truth": [gold], "execution_result_type": ["exact_match"]})
    put(made)
    benchmark = benchmarks.load_benchmark("bfcl")
    search, final = (benchmarks.items(benchmark, split, ItemsKey()) for split in ("search", "final"))
    assert len(search) + len(final) > 300
    found = {item["id"]: item for item in (*search, *final)}
    for source, (name, arguments) in zip(made, calls, strict=True):
        if doc := found.get(source["id"]):
            results = [TASK.process_results(doc, [hermes(given, name)]) for given in (arguments, {**arguments, "x": 1})]
            assert [result["strict"] for result in results] == [1.0, 0.0], source["id"]
