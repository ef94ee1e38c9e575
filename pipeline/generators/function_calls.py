"""Function calls: invented functions with typed, optional and nested arguments, requests for them, and the calls.

What functions do is recombined from `function_words.yaml`, so that thousands differ; every value that a call needs
follows from its request. `form` decides how functions are told: `written`, into the prompt as BFCL's AST categories
have them, or `tools`, for the chat template.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.answers.call_prompt import asked
from pipeline.generators._told import Told, listed, told, told_together, value
from pipeline.generators._words import Pair, Parameter, words

Row = dict[str, Any]
Form = Literal["written", "tools"]

TYPES = {
    "numbers": "array",
    "strings": "array",
    "choices": "array",
    "choice": "string",
    "amounts": "array",
}  # other kinds are types as they are
DEFAULT_WORDS = (
    "Default is {}.", "Default is {}.", "Default is {}.", "The default is {}.", "Defaults to {}.", "Default to {}.",
    "(default is {})", "Default: {}.", "If not provided, it is {}.", "Defaults to {} if not specified.",
    "The default value is {}.",
)  # fmt: skip
OPTIONAL_WORDS = ("{}", "{}", "{} Optional.", "Optional. {}", "{} (optional)", "{} This is optional.")
CHOICE_WORDS = (
    "Options: {}.", "Can be {}.", "Could be {} etc.", "One of {}.", "({})", "Possible values are {}.",
    "For example {}.",
)  # fmt: skip
ITEM_TYPES = {"numbers": "integer", "amounts": "float", "strings": "string"}
DEFAULTS = 0.85  # share of optional arguments whose description has their default
MENTIONED = 0.65  # share of optional arguments that the request gives
SWITCHED_ON = 0.2  # share of defaults of flags that are true
CAPITAL = 0.35  # share of arguments of few values whose values begin with capitals
LISTED = 0.4  # share of arguments of few values whose description lists them, and no `enum`
EXAMPLES = 0.15  # share of arguments whose description has a value as an example, which no request means
PAIRED = 0.3  # share of functions with two arguments that one phrase gives, where their domain has such
IN_FRONT = 0.15  # share of requests that begin with a phrase about an argument, if it may stand there
BEGINNING = re.compile(r"(with|in|on|at|for|from|between|using|within|over|under) ")
QUESTIONED = 0.4  # share of requests that ask a question of the function's own, if it has any
RECOMBINED = 0.25  # share of functions whose verb, noun and arguments come from several domains
STYLES = ("{verb}_{noun}", "{noun}_{verb}", "{domain}.{verb}_{noun}", "{domain}_{noun}", "{noun}.{verb}", "camel")
OPENINGS = (
    *["{Verb} {asks} {rest}."] * 8, *["What is {asks} {rest}?"] * 3, "{Verb} {asks} {rest}, please.",
    "Please {verb} {asks} {rest}.", "Can you {verb} {asks} {rest}?", "Could you {verb} {asks} {rest}?",
    "I need {asks} {rest}.", "I want to {verb} {asks} {rest}.", "I would like {asks} {rest}.", "Give me {asks} {rest}.",
    "Help me {verb} {asks} {rest}.", "What about {asks} {rest}?", "Tell me {asks} {rest}.", "Find out {asks} {rest}.",
    "What's {asks} {rest}?", "Show me {asks} {rest}.",
)  # fmt: skip


Argument = tuple[tuple[str, ...], Parameter]  # its place in the schema, such as ("options", "unit"), and what it is


@dataclass(frozen=True)
class Function:
    """One function: how it is asked for, its arguments by their place in its schema, and which are optional."""

    verb: str
    asks: str
    schema: Row
    arguments: tuple[Argument, ...]
    optional: frozenset[tuple[str, ...]]
    questions: tuple[str, ...] = ()  # other ways to ask for it
    pair: Pair | None = None  # what the first two arguments are, if one phrase gives both


def rows(
    seed: int,
    count: int,
    candidates: int = 1,
    calls: int = 1,
    form: Form = "written",
    name: str = "",
    requests: int = 1,
) -> list[Row]:
    """`count` rows; each offers up to `candidates` functions and asks for up to `calls` calls. `name` varies `seed`.

    `requests` rows in turn offer the same functions and have a `_group` in common.
    """
    draw = random.Random(f"function_calls/{name}/{seed}")
    found: list[Row] = []
    while len(found) < count:
        offered = _functions(draw, draw.randint(min(2, candidates), candidates))
        group = {"_group": f"functions {len(found) // requests + 1}"} if requests > 1 else {}
        found += [_row(draw, offered, calls, form) | group for _ in range(min(requests, count - len(found)))]
    return found


def _row(draw: random.Random, offered: list[Function], calls: int, form: Form) -> Row:
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
    near = draw.choice(sorted(words().domains)) if draw.random() < 0.5 else None
    while len(found) < number:
        function = _function(draw, near)
        found.setdefault(str(function.schema["name"]), function)
    return list(found.values())


def _function(draw: random.Random, near: str | None) -> Function:
    made_of = words()
    domain = near or draw.choice(sorted(made_of.domains))
    act = draw.choice(made_of.domains[domain].acts)
    verb, noun, asks, known = draw.choice(act.verbs), act.noun, act.asks, made_of.parameters(domain)
    questions = act.questions
    if draw.random() < RECOMBINED:
        others = [draw.choice(made_of.domains[draw.choice(sorted(made_of.domains))].acts) for _ in range(2)]
        head, tail = others[0].noun.split("_")[0], others[1].noun.split("_")[-1]
        verb, noun, asks = draw.choice(others[1].verbs), f"{head}_{tail}", f"the {head} {tail}"
        questions = ()
        known = [*known, *made_of.parameters(draw.choice(sorted(made_of.domains)))]
    paired = made_of.domains[domain].pairs
    pair = made_of.pairs[draw.choice(paired)] if paired and draw.random() < PAIRED else None
    arguments, optional = _arguments(draw, known, pair)
    schema = {
        "name": _name(draw, domain, verb, noun),
        "description": f"{_sentence(verb)} {asks}.",
        "parameters": _schema(draw, arguments, optional),
    }
    return Function(verb.replace("_", " "), asks, schema, tuple(arguments), optional, questions, pair)


def _name(draw: random.Random, domain: str, verb: str, noun: str) -> str:
    style = draw.choice(STYLES)
    if style != "camel":
        return style.format(verb=verb, noun=noun, domain=domain)
    first, *rest = f"{verb}_{noun}".split("_")
    return first + "".join(part.title() for part in rest)


def _arguments(
    draw: random.Random, known: list[Parameter], pair: Pair | None
) -> tuple[list[Argument], frozenset[tuple[str, ...]]]:
    """One to five arguments of different names, some in a nested object, the last ones perhaps optional.

    A pair is the first two, with up to three others.
    """
    known = list({parameter.about: parameter for parameter in known}.values())  # nothing twice under two names
    named: dict[str, Parameter] = {}
    if pair is not None:
        # beside the two ends of a route, a third city would be unclear
        known = [each for each in known if each.values != pair.values or not pair.values]
        taken = {name for both in pair.names for name in both}
        known = [each for each in known if not taken & set(each.names)]
        named = dict(zip(draw.choice(pair.names), pair.halves(), strict=True))
    counts, weights = ((0, 1, 2, 3), (4, 6, 2, 1)) if pair else ((1, 2, 3, 4, 5), (1, 4, 8, 2, 1))
    most = min(len(known), draw.choices(counts, weights)[0])
    for parameter in draw.sample(known, most):
        named.setdefault(draw.choice(parameter.names), _written(draw, parameter))
    arguments: list[Argument] = [((name,), parameter) for name, parameter in named.items()]
    if len(arguments) >= (5 if pair else 3) and draw.random() < 0.15:
        group = draw.choice(("options", "settings", "details", "filters"))
        arguments[-2:] = [((group, *place), parameter) for place, parameter in arguments[-2:]]
    flat = [place for place, _ in arguments if len(place) == 1]
    left_out = draw.choices((0, 1, 2), (3, 4, 2))[0]
    return arguments, frozenset(flat[max(2 if pair else 1, len(flat) - left_out) :])


def _written(draw: random.Random, parameter: Parameter) -> Parameter:
    """The parameter as one schema has it: a share of those of few values with capitals."""
    if parameter.kind not in ("choice", "choices") or draw.random() >= CAPITAL:
        return parameter
    return parameter.model_copy(update={"values": tuple(_sentence(each) for each in parameter.values)})


def _schema(draw: random.Random, arguments: list[Argument], optional: frozenset[tuple[str, ...]]) -> Row:
    """BFCL's dialect of JSON schema, in which an object is a `dict` and a number a `float`."""
    properties: Row = {}
    for place, parameter in arguments:
        inner = properties
        for group in place[:-1]:
            empty = {"type": "dict", "description": "Further settings.", "properties": {}, "required": []}
            group_schema = properties.setdefault(group, empty)
            group_schema["required"].append(place[-1])
            inner = group_schema["properties"]
        inner[place[-1]] = _described(draw, parameter, place in optional)
    required = [name for name in properties if (name,) not in optional]
    return {"type": "dict", "properties": properties, "required": required}


def _described(draw: random.Random, parameter: Parameter, is_optional: bool) -> Row:
    schema: Row = {"type": TYPES.get(parameter.kind, parameter.kind)}
    if parameter.kind in ITEM_TYPES:
        schema["items"] = {"type": ITEM_TYPES[parameter.kind]}
    schema["description"] = draw.choice(OPTIONAL_WORDS).format(parameter.about) if is_optional else parameter.about
    if is_optional and draw.random() < DEFAULTS:
        default = draw.random() < SWITCHED_ON if parameter.kind == "boolean" else value(draw, parameter)
        is_quoted = isinstance(default, str) and draw.random() < 0.5
        schema["description"] += " " + draw.choice(DEFAULT_WORDS).format(repr(default) if is_quoted else default)
    elif parameter.kind not in ("boolean", "choice", "choices") and draw.random() < EXAMPLES:
        schema["description"] += f" {draw.choice(('E.g.', 'For example,', 'Such as'))} {value(draw, parameter)}."
    if parameter.kind == "choice" and draw.random() < LISTED:
        is_quoted = draw.random() < 0.5
        shown = [repr(each) if is_quoted else each for each in parameter.values]
        schema["description"] += " " + draw.choice(CHOICE_WORDS).format(", ".join(shown))
    elif parameter.kind == "choice":
        schema["enum"] = list(parameter.values)
    elif parameter.kind == "choices":
        schema["items"] = {"type": "string", "enum": list(parameter.values)}
    return schema


def _call(draw: random.Random, function: Function) -> tuple[str, Row]:
    """A request in words, and the call that answers it. Some optional arguments are not mentioned."""
    given: Row = {}
    found: list[Told] = []
    arguments = function.arguments
    if function.pair is not None:
        names, arguments = (arguments[0][0][0], arguments[1][0][0]), arguments[2:]
        values, found = told_together(draw, names, function.pair)
        given = dict(zip(names, values, strict=True))
    for place, parameter in arguments:
        if place in function.optional and draw.random() >= MENTIONED:
            continue
        found.append(told(draw, place[-1], parameter))
        inner = given
        for group in place[:-1]:
            inner = inner.setdefault(group, {})
        inner[place[-1]] = found[-1].value
    return _request(draw, function, found), {"name": function.schema["name"], "arguments": given}


def _request(draw: random.Random, function: Function, found: list[Told]) -> str:
    draw.shuffle(found)
    texts = {place: [each.text for each in found if each.place == place] for place in ("before", "after", "sentence")}
    after, front = texts["after"], ""
    if after and BEGINNING.match(after[0]) and draw.random() < IN_FRONT:
        front, after = after[0][0].upper() + after[0][1:], after[1:]
    filled = {
        "verb": function.verb,
        "Verb": _sentence(function.verb),
        "asks": _qualified(function.asks, texts["before"]),
        "rest": _joined(after),
    }
    is_question = bool(function.questions) and not texts["before"] and draw.random() < QUESTIONED
    main = draw.choice(function.questions if is_question else OPENINGS).format(**filled)
    if front:
        is_i = main.startswith(("I ", "I'"))
        main = f"{front}, {main if is_i else main[0].lower() + main[1:]}"
    main = re.sub(r" +([.,?])", r"\1", main).replace("..", ".")  # after "Foods Inc." no second full stop
    return " ".join([main, *texts["sentence"]])


def _qualified(asks: str, adjectives: list[str]) -> str:
    """What is asked for with adjectives: `a vegan dinner recipe`."""
    if not adjectives:
        return asks
    article, noun = re.fullmatch(r"(an? |the |)(.+)", asks).groups()  # type: ignore[union-attr]
    noun = " ".join([*adjectives, noun])
    if article in ("a ", "an "):
        article = "an " if noun[0].lower() in "aeiou" else "a "
    return article + noun


def _joined(phrases: list[str]) -> str:
    return listed(phrases) if len(phrases) > 2 else " ".join(phrases)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].replace("_", " ")


def _standard(schema: Row) -> Row:
    """The schema with JSON schema's own names of types, as chat templates expect them."""
    text = json.dumps(schema)
    for theirs, standard in (("dict", "object"), ("float", "number")):
        text = text.replace(f'"type": "{theirs}"', f'"type": "{standard}"')
    found: Row = json.loads(text)
    return found
