"""Two sets of verdicts: what pairs, what agrees by benchmark and order, and what is refused."""

from __future__ import annotations

import json

import pytest

from pipeline.errors import DataError, InputError
from pipeline.judges import paired

NAMED = ("benchmark", "of")


def row(name, *verdicts, **more):
    return {"id": name, "verdicts": list(verdicts), **more}


def compared(first, second, named=NAMED):
    return paired.compare(paired.read(first, "one.jsonl", named), paired.read(second, "two.jsonl", named))


def test_agreement_kappa_and_orders_of_pairwise_verdicts():
    first = [row("a", "B>A", "A>B"), row("b", "A>B", "A>B"), row("c", "A=B", "?"), row("d", "B>>A", "A>B")]
    second = [row("d", "B>A", "A>B"), row("c", "A=B", "A=B"), row("b", "A>B", "B>A"), row("a", "B>A", "A>B")]
    found = compared(first, second)
    [told] = found["benchmarks"]
    # a: 2 of 2, b: 1 of 2, c: 1 of 1 (the other is unread), d: 1 of 2
    assert (told["verdicts"], told["unread"], told["agreement"]) == (7, [1, 0], pytest.approx(5 / 7))
    chance = (1 * 3 + 1 * 1 + 4 * 3 + 1 * 0) / 49  # B>A, A=B, A>B, B>>A by either side
    assert told["kappa"] == pytest.approx((5 / 7 - chance) / (1 - chance))
    assert told["orders"]["baseline_first"]["agreement"] == 3 / 4
    assert told["orders"]["candidate_first"]["agreement"] == pytest.approx(2 / 3)
    assert told["winner"]["agreement"] == pytest.approx(6 / 7), "B>>A and B>A have one winner"
    assert told["consistency"] == [pytest.approx(2 / 3), 1.0] and told["first_wins"][0] == pytest.approx(4 / 6)
    low, high = told["interval"]
    assert 0.0 < low < 5 / 7 < high <= 1.0 and found["only_first"] == found["only_second"] == 0


def test_criteria_are_compared_one_by_one():
    first = [row("a", True, False, True), row("b", False, False)]
    second = [row("a", True, True, True), row("b", False, None)]
    [told] = compared(first, second)["benchmarks"]
    assert (told["verdicts"], told["agreement"], told["unread"]) == (4, 0.75, [0, 1])
    assert "orders" not in told and told["scores"] is None
    assert told["kappa"] == pytest.approx((0.75 - 0.5) / 0.5)


def test_benchmarks_and_models_are_told_apart_where_both_name_them():
    first = [row("a", True, benchmark="x", of="model"), row("a", False, benchmark="y", of="model"),
             row("a", False, benchmark="x", of="base")]  # fmt: skip
    found = compared(first, list(reversed(first)))
    assert [(told["benchmark"], told["answers"], told["agreement"]) for told in found["benchmarks"]] == [
        ("x", 2, 1.0), ("y", 1, 1.0)
    ]  # fmt: skip
    with pytest.raises(DataError, match="one.jsonl, row 2: a is there twice: name its `benchmark`"):
        compared(first, first, named=("of",))


def test_scores_stand_beside_each_other_weighted_as_they_count():
    first = [row("a", "B>>A", "A>>B", strict=1.0, weight=6), row("b", "A>B", "B>A", strict=0.0, weight=2)]
    second = [row("a", "A>B", "B>A", strict=0.0, weight=2), row("b", "A>B", "B>A", strict=0.0, weight=2)]
    assert compared(first, second)["benchmarks"][0]["scores"] == [0.75, 0.0]


def test_several_answers_to_an_item_are_compared_in_their_order():
    several = {"id": "a", "responses": [{"verdicts": [True]}, {"verdicts": [False]}]}
    other = {"id": "a", "responses": [{"verdicts": [True]}, {"verdicts": [True]}]}
    assert compared([several], [other])["benchmarks"][0]["agreement"] == 0.5


def test_other_answers_ties_by_definition_and_items_of_one_side_do_not_count():
    first = [row("a", True, response="x"), row("b", True, response="x"), row("c", True), row("e", True)]
    second = [row("a", False, response="y"), row("b", True, response="x"), row("d", True), row("e", True, response="z")]
    found = compared(first, second)
    assert (found["other_answers"], found["only_first"], found["only_second"]) == (1, 1, 1)
    assert found["benchmarks"][0]["agreement"] == 1.0 and found["benchmarks"][0]["answers"] == 2
    equal = row("a", "A=B", "A=B", asked=0, kept=0)
    [told] = compared([equal, row("b", "A>B", "B>A")], [equal, row("b", "B>A", "B>A")])["benchmarks"]
    assert (told["verdicts"], told["answers"], told["agreement"]) == (2, 2, 0.5)


def test_where_nothing_was_read_there_is_no_agreement():
    [told] = compared([row("a", "?", "?")], [row("a", "A>B", "A>B")])["benchmarks"]
    assert told["agreement"] is None and told["kappa"] is None and told["consistency"] == [None, 0.0]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ([row("a", "A>C", "A>B")], None, "row 1: 'A>C' is no verdict: they are A>>B, A>B"),
        ([row("a", True), row("b", 1)], None, "row 2: 1 is no verdict"),
        ([row("a", 0.5)], None, "0.5 is no verdict"),
        ([row("a", "A>B")], None, "1 verdicts: a pair is compared in both orders"),
        ([row("a", "A>B", True)], None, "True is no verdict"),
        ([{"verdicts": [True]}], None, '"id" must name the item'),
        ([row("a", True), row("a", True)], None, "a is there twice"),
        ([{"id": "a", "strict": 1.0}], None, "one.jsonl: no verdicts: name per-item results of a judged benchmark"),
        ([row("a", True)], [row("b", True)], "have no answer in common"),
        ([row("a", True)], [row("a", True, True)], "1 and 2 verdicts on one answer"),
        ([row("a", True, response="x")], [row("a", True, response="y")], "judged other answers to the same items"),
    ],
)
def test_what_does_not_pair_is_one_line(first, second, said):
    with pytest.raises((DataError, InputError)) as caught:
        compared(first, second if second is not None else [row("a", True)])
    assert said in str(caught.value) and "\n" not in str(caught.value)


# ---------------------------------------------------------------- posttrain bench judges


def write(path, rows):
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return path


def test_the_command_takes_folders_and_a_person_s_plain_lines(command, tmp_path):
    more = {"benchmark": "arena", "of": "model", "judge": "openai:m", "strict": 0.5, "weight": 2, "response": "x"}
    judged = [row(f"i{n}", "B>A", "A>B" if n % 2 else "B>A", **more) for n in range(6)]
    write(tmp_path / "a" / "items.jsonl", [*judged, {"id": "z", "benchmark": "gsm8k", "of": "model", "strict": 1.0}])
    person = write(tmp_path / "person.jsonl", [row(f"i{n}", "B>A", "A>B") for n in range(5)])
    code, out, _ = command("bench", "judges", tmp_path / "a", person)
    assert code == 0 and "Agreement" in out and "who wins" in out and "1 are in the first alone" in out
    document = json.loads(command("bench", "judges", tmp_path / "a", person, "--json")[1])
    assert (document["first"], document["second"]) == ("openai:m", str(person)) and document["not_judged"] == [1, 0]
    [told] = document["benchmarks"]
    assert told["answers"] == 5 and told["agreement"] == 0.7 and told["scores"] is None


def test_the_command_s_wrong_input_is_one_line(command, tmp_path):
    (tmp_path / "empty").mkdir()
    person = write(tmp_path / "person.jsonl", [row("i", "B>A", "A>B")])
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"id": "i"')
    cases = {
        tmp_path / "empty": "no items.jsonl there",
        tmp_path / "no.jsonl": "no such file",
        tmp_path / "no": "no such file or folder",
        broken: "line 1: not JSON",
    }
    for path, said in cases.items():
        code, out, err = command("bench", "judges", person, path)
        assert (code, out, err.count("\n")) == (2, "", 1) and said in err
