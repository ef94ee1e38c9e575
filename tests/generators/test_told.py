"""How generated requests give the values of a call."""

from __future__ import annotations

import datetime
import random
import re
import time
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pipeline.generators._texts import text_and_words
from pipeline.generators._told import NUMBERS, _whole, told_together
from pipeline.generators._words import words
from pipeline.generators.function_calls import rows
from tests.generators.calls import KINDS, asked, called, leaves, offered


def test_every_value_follows_from_its_request():
    phrases, factors = {}, set()  # by value, the phrases that mean it
    for parameter in (
        *words().common.values(),
        *(each for name in words().domains for each in words().parameters(name)),
    ):
        factors.add(parameter.times)
        for phrase, value in parameter.means.items():
            phrases.setdefault(value, set()).add(phrase)
    assert {1, 0.01, 60} <= factors
    for row in rows(seed=2, count=600, candidates=2, calls=2):
        request = asked(row).lower()  # a phrase may begin its sentence, and a choice lose its capital
        for value in leaves([call["arguments"] for call in called(row)]):
            ways = {str(value), *phrases.get(value, ()), *_other_ways(value)}
            if isinstance(value, int | float):
                said = [round(value / times, 6) for times in factors]
                said += [round(number) for number in said if number == round(number)]
                ways |= {f"{number:,}" for number in said} | {str(number) for number in said}
                ways |= {word for number in said if number in range(13) for word in NUMBERS[round(number)].split()}
            assert any(way.lower() in request for way in ways), (
                value,
                request,
            )


def _other_ways(value):
    """How requests may write a day, a time of day, and a city that the call has with its state."""
    text = str(value)
    if found := re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)|(\d\d)-(\d\d)-(\d{4})|(\d\d)/(\d\d)/(\d{4})", text):
        year, month, day, day2, month2, year2, month3, day3, year3 = found.groups()
        when = datetime.date(int(year or year2 or year3), int(month or month2 or month3), int(day or day2 or day3))
        endings = [ending for name in ("%B", "%b") for ending in (f"{when.strftime(name)} {when.day}",)]
        return [f"{ending}, {when.year}" for ending in endings] + [
            f"{when.day} {when:%B} {when.year}",
            *(f"{when:%B} {when.day}{th}, {when.year}" for th in ("st", "nd", "rd", "th")),
            f"{when:%b}.{when.day}, {when.year}",
            *(f"{when.year} {when:%B} {when.day}{th}" for th in ("st", "nd", "rd", "th")),
            *(f"{when.day}{th} {when:%B}, {when.year}" for th in ("st", "nd", "rd", "th")),
            *(f"the {when.day}{th} of {when:%B} {when.year}" for th in ("st", "nd", "rd", "th")),
        ]
    if found := re.fullmatch(r"(\d\d):(\d\d)", text):
        hour = int(found[1])
        return [f"{hour % 12 or 12}:{found[2]} {'am' if hour < 12 else 'pm'}"]
    return [text.partition(",")[0]] if re.fullmatch(r"[A-Z][A-Za-z ]+, [A-Z]{2}", text) else []


def test_requests_write_numbers_as_people_do_and_calls_have_them_bare():
    found = rows(seed=4, count=3000)
    requests = [asked(row) for row in found]
    for pattern in (
        r"\d+kg\b",
        r"\$\d",
        r"\d%",
        r"\d,\d{3}",
        r"\b(three|seven|twelve)\b",
        r"turned (on|off)",
        r"dozen|an hour",
    ):
        share = sum(bool(re.search(pattern, request)) for request in requests) / len(requests)
        assert 0.002 < share < 0.2, (pattern, share)
    for row in found:
        for name, value in called(row)[0]["arguments"].items():
            wanted = offered(row)[0]["parameters"]["properties"][name]["type"]
            assert isinstance(value, KINDS[wanted]) and isinstance(value, bool) == (wanted == "boolean"), (name, value)


def test_numbers_are_of_all_magnitudes_and_many_are_round():
    numbers = [
        value
        for row in rows(seed=9, count=3000)
        for value in leaves(called(row)[0]["arguments"])
        if isinstance(value, int)
    ]
    digits = [len(str(number)) for number in numbers]
    assert all(digits.count(count) / len(digits) > 0.05 for count in (1, 2, 3, 4))
    large = [number for number in numbers if 100 <= number < 1000]
    assert 0.3 < sum(number % 50 == 0 for number in large) / len(large) < 0.7


@given(seed=st.integers(0, 10**6), low=st.integers(0, 10**4), above=st.integers(0, 10**5))
def test_a_number_stays_in_its_range(seed, low, above):
    assert low <= _whole(random.Random(seed), low, low + above) <= low + above


def test_values_stand_before_what_is_asked_for_are_told_by_name_and_in_sentences_of_their_own():
    requests = [asked(row) for row in rows(seed=11, count=2000)]
    for pattern in (
        r"\b(?i:an? (vegan|easy|formal|Greek|ambient|organic|wireless|refurbished)"
        r"|the (monthly|yearly|keto|recent|public|official))\b",
        r"with [a-z ]+ set to (?!true|false)\w",
        r"[.?] (The [a-z ]+ (is|should be)|Set the|Use) ",
    ):
        share = sum(bool(re.search(pattern, request)) for request in requests) / len(requests)
        assert 0.01 < share < 0.4, (pattern, share)
    assert not any(" ." in request or " ?" in request or " ," in request for request in requests)


def test_one_phrase_gives_two_arguments_in_either_order():
    found = rows(seed=12, count=3000)
    orders = Counter()
    for row in found:
        request, given = asked(row), called(row)[0]["arguments"]
        for first, second in (("origin", "destination"), ("from_city", "to_city"), ("start_location", "end_location")):
            if first in given and second in given:
                orders[f"from {given[first]} to {given[second]}" in request] += 1
                orders["reversed"] += f"to {given[second]} from {given[first]}" in request
    assert min(orders[True], orders["reversed"]) > 5


def test_days_have_the_form_that_their_description_asks_for():
    forms = {"YYYY-MM-DD": r"\d{4}-\d\d-\d\d", "DD-MM-YYYY": r"\d\d-\d\d-\d{4}", "MM/DD/YYYY": r"\d\d/\d\d/\d{4}"}
    seen = Counter()
    for row in rows(seed=13, count=4000):
        request = asked(row)
        for name, value in called(row)[0]["arguments"].items():
            about = offered(row)[0]["parameters"]["properties"][name]["description"]
            for form, pattern in forms.items():
                if form in about:
                    assert re.fullmatch(pattern, value)
                    seen[form, value in request] += 1
    assert len(seen) == 6 and min(seen.values()) > 10


def test_texts_come_from_many():
    cities, people = set(), Counter()
    for row in rows(seed=15, count=2000):
        for name, value in called(row)[0]["arguments"].items():
            if name in ("student_name", "customer_name", "person"):
                people[value] += 1
            if name in ("city_name", "destination"):
                cities.add(value)
    assert len(cities) > 15 and len(people) > 0.7 * sum(people.values())


def test_a_mentioned_flag_is_given_as_it_is_said():
    for row in rows(seed=6, count=1000):
        request = asked(row)
        for name, value in called(row)[0]["arguments"].items():
            said = name.replace("_", " ")
            if value is True:
                assert not re.search(rf"\b{said} (disabled|off)\b", request)
            if value is False:
                assert not re.search(rf"\b{said} (enabled|on)\b", request)


@given(seed=st.integers(0, 10**6))
def test_the_two_of_a_pair_differ_and_rise_where_they_should(seed):
    draw = random.Random(seed)
    for pair in words().pairs.values():
        (one, other), ways = told_together(draw, pair.names[0], pair)
        assert one != other and (not pair.rising or one < other) and len(ways) in (1, 2)


def test_months_are_english_whatever_the_locale(monkeypatch):
    real = time.strftime
    monkeypatch.setattr("time.strftime", lambda form, *when: real(re.sub("%[bB]", "brumaire", form), *when))
    assert f"{datetime.date(2024, 5, 1):%B}" == "brumaire"
    days = [text_and_words(random.Random(seed), "date") for seed in range(60)]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", day) for day, _ in days)
    written = [words for day, words in days if words != day]
    assert len(written) > 15 and not any("brumaire" in each for each in written)


def test_articles_fit_the_names_of_arguments():
    requests = [asked(row) for row in rows(seed=16, count=3000)]
    assert any(re.search(r"\bwith an [aeiou][a-z ]+ of", request) for request in requests)
    assert not any(re.search(r"\bwith a [aeiou][a-z ]+ of \d", request) for request in requests)


def test_a_number_and_its_unit_can_be_two_arguments():
    found = 0
    for row in rows(seed=17, count=3000):
        given = called(row)[0]["arguments"]
        for name, unit in (("radius", "unit"), ("weight", "weight_unit"), ("amount", "currency")):
            if name in given and isinstance(given.get(unit), str) and f" {given[unit]}" in asked(row):
                found += f"{given[name]} {given[unit]}" in asked(row)
    assert found > 10


def test_a_choice_is_given_as_the_schema_has_it_whatever_the_request_has():
    choices = [
        (value, asked(row))
        for row in rows(seed=18, count=2000)
        for name, value in called(row)[0]["arguments"].items()
        if "enum" in offered(row)[0]["parameters"]["properties"][name]
    ]
    told = Counter((value[0].isupper(), value in request) for value, request in choices)
    assert min(told[True, True], told[True, False], told[False, True]) > 20 >= told[False, False]


def test_what_is_asked_for_is_often_asked_in_a_question_of_its_own():
    requests = [asked(row) for row in rows(seed=19, count=2000)]
    own = sum(bool(re.match(r"(How|Who|Where|When|Which) ", request)) for request in requests) / len(requests)
    assert 0.1 < own < 0.4
    assert not any("{" in request for request in requests)
    assert not any(re.search(r" i(?: |'[a-z])", request) for request in requests)
    ordinals = {each for request in requests for each in re.findall(r"\b(\w+)th century", request)}
    assert ordinals and ordinals <= {str(number) for number in range(4, 20)}
