"""Texts that arguments have as values, and how requests write them.

Names are put together from parts, so that few come twice: a model that has seen the same twenty cities learns them, and
not to copy. Dates, times and places have the form that their description asks for, whatever the form of the request.
"""

from __future__ import annotations

import datetime
import random
import re

from pipeline.generators._words import words

DATES = {"date": "%Y-%m-%d", "date_dmy": "%d-%m-%Y", "date_us": "%m/%d/%Y"}
LONG_DATES = ("{month} {day}, {year}", "{day} {month} {year}", "{short} {day}, {year}", "{month} {th}, {year}",
    "the {th} of {month} {year}", "{short}.{day}, {year}", "{year} {month} {th}", "{th} {month}, {year}")  # fmt: skip
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December")  # fmt: skip
IN_LONG = 0.5  # share of dates that requests write with the month's name
IN_HALVES = 0.4  # share of times that requests write as in `6:30 pm`
CITY_ALONE = 0.5  # share of places with a state whose request has the city only


def text_of(draw: random.Random, values: str) -> str:
    """A text of a kind that is date, time or code, or has words of its own."""
    return text_and_words(draw, values)[0]


def text_and_words(draw: random.Random, values: str) -> tuple[str, str]:
    """A text as the call has it, and as the request writes it."""
    if values in DATES:
        day = datetime.date(draw.randint(2021, 2029), draw.randint(1, 12), draw.randint(1, 28))
        meant = day.strftime(DATES[values])
        return meant, _long(draw, day) if draw.random() < IN_LONG else meant
    if values == "time":
        hour, minute = draw.randint(0, 23), draw.choice((0, 5, 15, 20, 30, 45))
        meant = f"{hour:02}:{minute:02}"
        half = f"{hour % 12 or 12}:{minute:02} {draw.choice(('am', 'AM') if hour < 12 else ('pm', 'PM'))}"
        return meant, half if draw.random() < IN_HALVES else meant
    if values == "code":
        code = _code(draw)
        return code, code
    drawn = _drawn(draw, values)
    is_alone = values == "city_state" and draw.random() < CITY_ALONE
    return drawn, drawn.partition(",")[0] if is_alone else drawn


def _code(draw: random.Random) -> str:
    """What an order or a case goes by: letters and figures, or figures that are a text nevertheless."""
    letters, figures = "".join(draw.choices("ABCDEFGHKLMNPRSTVWXZ", k=draw.randint(1, 3))), draw.randint(10, 99999)
    return draw.choice((f"{letters}-{figures}", f"{letters}{figures}", str(draw.randint(1000, 99999999))))


def _drawn(draw: random.Random, values: str) -> str:
    """One of the words of that name, in which `<name>` stands for one of others."""
    return re.sub(r"<(\w+)>", lambda part: _drawn(draw, part[1]), draw.choice(words().words[values]))


def _long(draw: random.Random, day: datetime.date) -> str:
    """A day with the name of its month: in English, whatever the locale of this process."""
    number, month = day.day, MONTHS[day.month - 1]
    ending = "th" if 10 < number < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    form = draw.choice(LONG_DATES)
    return form.format(month=month, short=month[:3], day=number, th=f"{number}{ending}", year=day.year)
