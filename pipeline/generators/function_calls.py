"""Function calls: invented functions with typed, optional and nested arguments, requests for them, and the calls.

What functions do is recombined from `function_words.yaml`, so that thousands differ; every value that a call needs
stands in its request. `form` decides how functions are told: `written`, into the prompt as BFCL's AST categories have
them, or `tools`, for the chat template.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pipeline.answers.call_prompt import asked
from pipeline.types import Strict
from pipeline.yaml_file import read_model

Row = dict[str, Any]
Form = Literal["written", "tools"]

WORDS = Path(__file__).with_name("function_words.yaml")
TYPES = {"numbers": "array", "strings": "array", "choice": "string"}  # other kinds are types as they are
RECOMBINED = 0.5  # share of functions whose verb, noun and arguments come from several domains
STYLES = ("{verb}_{noun}", "{noun}_{verb}", "{domain}.{verb}_{noun}", "{domain}_{noun}", "{noun}.{verb}", "camel")
OPENINGS = (
    "{Verb} {asks} {rest}.", "Please {verb} {asks} {rest}.", "Can you {verb} {asks} {rest}?", "I need {asks} {rest}.",
    "I want to {verb} {asks} {rest}.", "Could you {verb} {asks} {rest}?", "{Verb} {asks} {rest}, please.",
    "I would like {asks} {rest}.", "Help me {verb} {asks} {rest}.", "What about {asks} {rest}?",
)  # fmt: skip


class Parameter(Strict):
    """A possible argument: names that it may have, its kind, its description, and phrases that give its value `{v}`."""

    names: tuple[str, ...]
    kind: Literal["integer", "float", "string", "boolean", "numbers", "strings", "choice"]
    about: str
    says: tuple[str, ...]  # of a boolean: for true, and for false
    values: str | tuple[str, ...] = ""
    range: tuple[int, int] = (1, 100)


class Act(Strict):
    """What functions may do: verbs, the noun in their name, and what a request calls it."""

    verbs: tuple[str, ...]
    noun: str
    asks: str


class Domain(Strict):
    """Acts that go together, and the arguments that they may take."""

    acts: tuple[Act, ...]
    parameters: tuple[Parameter, ...]
    shares: tuple[str, ...] = ()


class Words(Strict):
    """All that functions are made of."""

    words: dict[str, tuple[str, ...]]
    common: dict[str, Parameter]
    domains: dict[str, Domain]

    def parameters(self, name: str) -> list[Parameter]:
        """A domain's own and shared parameters."""
        domain = self.domains[name]
        return [*domain.parameters, *(self.common[each] for each in domain.shares)]


Argument = tuple[tuple[str, ...], Parameter]  # its place in the schema, such as ("options", "unit"), and what it is


@dataclass(frozen=True)
class Function:
    """One function: how it is asked for, its arguments by the place in its schema, and which of them are optional."""

    verb: str
    asks: str
    schema: Row
    arguments: tuple[Argument, ...]
    optional: frozenset[tuple[str, ...]]


def rows(
    seed: int, count: int, candidates: int = 1, calls: int = 1, form: Form = "written", name: str = ""
) -> list[Row]:
    """`count` rows; each offers up to `candidates` functions and asks for up to `calls` calls. `name` varies `seed`."""
    draw = random.Random(f"function_calls/{name}/{seed}")
    return [_row(draw, candidates, calls, form) for _ in range(count)]


def _row(draw: random.Random, candidates: int, calls: int, form: Form) -> Row:
    offered = _functions(draw, draw.randint(min(2, candidates), candidates))
    wanted = draw.randint(min(2, calls), calls)
    chosen = [draw.choice(offered) for _ in range(wanted)]
    made = [_call(draw, function) for function in chosen]
    request = " ".join(text for text, _ in made)
    answers = [answer for _, answer in made]
    schemas = [function.schema for function in offered]
    if form == "tools":
        called = [{"type": "function", "function": answer} for answer in answers]
        turns = [{"role": "user", "content": request}, {"role": "assistant", "content": "", "tool_calls": called}]
        return {"messages": turns, "tools": [{"type": "function", "function": _standard(each)} for each in schemas]}
    turns = [
        {"role": "user", "content": asked(schemas, request)},
        {"role": "assistant", "content": json.dumps(answers, ensure_ascii=False)},
    ]
    return {"messages": turns}


def _functions(draw: random.Random, number: int) -> list[Function]:
    """Functions of different names; of several, some are about the same thing."""
    found: dict[str, Function] = {}
    near = draw.choice(sorted(_words().domains)) if draw.random() < 0.5 else None
    while len(found) < number:
        function = _function(draw, near)
        found.setdefault(str(function.schema["name"]), function)
    return list(found.values())


def _function(draw: random.Random, near: str | None) -> Function:
    words = _words()
    domain = near or draw.choice(sorted(words.domains))
    act = draw.choice(words.domains[domain].acts)
    verb, noun, asks, known = draw.choice(act.verbs), act.noun, act.asks, words.parameters(domain)
    if draw.random() < RECOMBINED:
        others = [draw.choice(words.domains[draw.choice(sorted(words.domains))].acts) for _ in range(2)]
        head, tail = others[0].noun.split("_")[0], others[1].noun.split("_")[-1]
        verb, noun, asks = draw.choice(others[1].verbs), f"{head}_{tail}", f"the {head} {tail}"
        known = [*known, *words.parameters(draw.choice(sorted(words.domains)))]
    arguments, optional = _arguments(draw, known)
    schema = {
        "name": _name(draw, domain, verb, noun),
        "description": f"{_sentence(verb)} {asks}.",
        "parameters": _schema(arguments, optional),
    }
    return Function(verb.replace("_", " "), asks, schema, tuple(arguments), optional)


def _name(draw: random.Random, domain: str, verb: str, noun: str) -> str:
    style = draw.choice(STYLES)
    if style != "camel":
        return style.format(verb=verb, noun=noun, domain=domain)
    first, *rest = f"{verb}_{noun}".split("_")
    return first + "".join(part.title() for part in rest)


def _arguments(draw: random.Random, known: list[Parameter]) -> tuple[list[Argument], frozenset[tuple[str, ...]]]:
    """One to five arguments of different names, some in a nested object, the last ones perhaps optional."""
    known = list({parameter.about: parameter for parameter in known}.values())  # nothing twice under two names
    most = min(len(known), draw.choices((1, 2, 3, 4, 5), (2, 4, 4, 2, 1))[0])
    named: dict[str, Parameter] = {}
    for parameter in draw.sample(known, most):
        named.setdefault(draw.choice(parameter.names), parameter)
    arguments: list[Argument] = [((name,), parameter) for name, parameter in named.items()]
    if len(arguments) >= 3 and draw.random() < 0.15:
        group = draw.choice(("options", "settings", "details", "filters"))
        arguments[-2:] = [((group, *place), parameter) for place, parameter in arguments[-2:]]
    flat = [place for place, _ in arguments if len(place) == 1]
    left_out = draw.choices((0, 1, 2), (5, 3, 1))[0]
    return arguments, frozenset(flat[max(1, len(flat) - left_out) :])


def _schema(arguments: list[Argument], optional: frozenset[tuple[str, ...]]) -> Row:
    """BFCL's dialect of JSON schema, in which an object is a `dict` and a number a `float`."""
    properties: Row = {}
    for place, parameter in arguments:
        inner = properties
        for group in place[:-1]:
            told = {"type": "dict", "description": "Further settings.", "properties": {}, "required": []}
            group_schema = properties.setdefault(group, told)
            group_schema["required"].append(place[-1])
            inner = group_schema["properties"]
        inner[place[-1]] = _described(parameter, place in optional)
    required = [name for name in properties if (name,) not in optional]
    return {"type": "dict", "properties": properties, "required": required}


def _described(parameter: Parameter, is_optional: bool) -> Row:
    told: Row = {"type": TYPES.get(parameter.kind, parameter.kind)}
    if parameter.kind in ("numbers", "strings"):
        told["items"] = {"type": "integer" if parameter.kind == "numbers" else "string"}
    told["description"] = parameter.about + (" Optional." if is_optional else "")
    if parameter.kind == "choice":
        told["enum"] = list(parameter.values)
    return told


def _call(draw: random.Random, function: Function) -> tuple[str, Row]:
    """A request in words, and the call that answers it. Half of the optional arguments are not mentioned."""
    phrases: list[str] = []
    given: Row = {}
    for place, parameter in function.arguments:
        if place in function.optional and draw.random() < 0.5:
            continue
        value, shown = _value(draw, parameter)
        if parameter.kind == "boolean":
            phrases.append(parameter.says[0 if value else 1])
        else:
            phrases.append(draw.choice(parameter.says).replace("{v}", shown))
        inner = given
        for group in place[:-1]:
            inner = inner.setdefault(group, {})
        inner[place[-1]] = value
    draw.shuffle(phrases)
    opening = draw.choice(OPENINGS)
    words = {"verb": function.verb, "Verb": _sentence(function.verb), "asks": function.asks, "rest": _joined(phrases)}
    return opening.format(**words), {"name": function.schema["name"], "arguments": given}


def _value(draw: random.Random, parameter: Parameter) -> tuple[Any, str]:
    """A value, and how a request writes it."""
    low, high = parameter.range
    if parameter.kind == "boolean":
        return draw.random() < 0.5, ""
    if parameter.kind == "integer":
        number = draw.randint(low, high)
        return number, str(number)
    if parameter.kind == "float":
        amount = round(draw.uniform(low, high), draw.choice((1, 2)))
        return amount, str(amount)
    if parameter.kind == "numbers":
        numbers = [draw.randint(low, high) for _ in range(draw.randint(2, 6))]
        return numbers, str(numbers) if draw.random() < 0.6 else _listed([str(each) for each in numbers])
    if parameter.kind == "strings":
        several = draw.sample(_words().words[str(parameter.values)], draw.randint(2, 3))
        return several, _listed(several)
    text = draw.choice(parameter.values) if parameter.kind == "choice" else _text(draw, str(parameter.values))
    return text, text


def _text(draw: random.Random, values: str) -> str:
    words = _words().words
    if values == "date":
        return f"{draw.randint(2021, 2029)}-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}"
    if values == "time":
        return f"{draw.randint(0, 23):02}:{draw.choice((0, 5, 15, 20, 30, 45)):02}"
    if values == "code":
        return f"{''.join(draw.choices('ABCDEFGHKLMNPRSTVWXZ', k=draw.randint(1, 3)))}-{draw.randint(10, 99999)}"
    if values == "sentence":
        return f"The {draw.choice(words['animal'])} sleeps near {draw.choice(words['city'])}"
    return draw.choice(words[values])


def _listed(parts: list[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def _joined(phrases: list[str]) -> str:
    return _listed(phrases) if len(phrases) > 2 else " ".join(phrases)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].replace("_", " ")


def _standard(schema: Row) -> Row:
    """The schema with JSON schema's own names of types, as chat templates expect them."""
    text = json.dumps(schema)
    for theirs, standard in (("dict", "object"), ("float", "number")):
        text = text.replace(f'"type": "{theirs}"', f'"type": "{standard}"')
    found: Row = json.loads(text)
    return found


@lru_cache(maxsize=1)
def _words() -> Words:
    return read_model(WORDS, Words)
