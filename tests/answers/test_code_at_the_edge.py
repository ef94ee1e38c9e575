"""Code as models really wrap it: lists, Windows' line ends, several fences, one never closed, words beside it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.answers.code import defines, fenced, function_code

CODE = "def f(x):\n    return x + 1\n"
FENCED = f"```python\n{CODE}```"
TICKS = 'def f(x):\n    """Adds one.\n\n    ```\n    f(1)\n    ```\n    """\n    return x + 1\n'


def ran(code: str | None) -> int:
    space: dict = {"__name__": "program"}
    exec(code or "", space)
    return space["f"](1)


def indented(code: str, by: str) -> str:
    return "".join(by + line for line in code.splitlines(keepends=True))


@pytest.mark.parametrize("by", ["   ", "    ", "\t"])
def test_a_fence_in_a_list_takes_its_indentation_from_the_code(by):
    text = f"1. Solution:\n{indented(FENCED, by)}\n\n2. It adds one.\n"
    assert ran(fenced(text, "f")) == ran(function_code(text, "f")) == 2


@pytest.mark.parametrize(
    "text",
    [
        f"Sure:\n{FENCED}\nIt adds one.".replace("\n", "\r\n"),
        f"```python\nONE = 1\n\ndef one():\n    return ONE\n```\nand\n```python\n{CODE.replace('1', 'one()')}```",
        f"```python\nimport math\n```\n```\n{CODE.replace('1', 'math.floor(1.5)')}```",
        f"```python\nfrom typing import List\n```\n{FENCED}\n```python\nprint(f(1))\n```",
        f"{FENCED}\nUse it so:\n```python\nprint(f(input()))\n```\n",
        f"A first try:\n```python\nprint(f(input()))\n```\n{FENCED}",
        f"So: `f(1)`\n```python\n>>> f(1)\n2\n```\n{FENCED}",
        f"```python\nresult = f(1)\n```\n{FENCED}",
        f"```python\n{TICKS}```\nDone.",
        f"~~~\n{TICKS}~~~",
        f"```python\n{CODE.rstrip()}```\n",
        f"```python\n{CODE.rstrip()}``` \nThat is all.",
        f"{FENCED}<|im_end|>",
        f"{FENCED}</s>\n",
        f"\ufeff{CODE}",
        f"\ufeff{FENCED}",
        f"{CODE}<|im_end|>\n<|endoftext|>",
        TICKS,
        f"```python\ndef f(x):\n    return 0\n```\nNo:\n{FENCED}",
    ],
    ids=range(19),
)
def test_what_a_person_would_run_is_unwrapped(text):
    assert ran(function_code(text, "f")) == 2
    code = fenced(text, "f")
    assert ran(text.strip("\ufeff").partition("<|")[0] if code is None else code) == 2


@pytest.mark.parametrize(
    "words", ["Done", "\nDone\n", "\nNote: simple", "\nThis adds one.", "\nIt works:\n\n```\n", "\nf", "\nx = what?"]
)
def test_words_beside_bare_code_are_cut_off(words):
    assert ran(function_code(CODE + words, "f")) == ran(function_code("Solution\n" + CODE + words, "f")) == 2


@pytest.mark.parametrize(
    ("code", "is_whole"),
    [
        ("def fib(n):\n    return n", True),
        ("import math\n\nasync def  fib (n): ...", True),
        ("    if n < 2:\n        return n\n    def fib_memo(n):\n        return n\n    return fib_memo(n)\n", False),
        ("\n    def fib(n):\n        return 1\n    return fib(n)\n", False),
        ("    # def fib is above\n    return 1\n", False),
        ("def fib_memo(n):\n    return n", False),
        ("# def fib\n", False),
        ("", False),
    ],
)
def test_a_body_that_continues_the_prompt_is_told_from_a_whole_function(code, is_whole):
    assert defines(code, "fib") is is_whole


@given(st.text("`~ \t\r\ndef(x):python1\"'\0{}#", max_size=200))
def test_any_text_is_unwrapped_without_an_error(text):
    fenced(text, "f"), fenced(text), function_code(text, "f"), function_code(f"{CODE}{text}", "f")


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n" + "    x = x + 1\n" * 1000 + "and here some words\n" * 1000,
        CODE + "from here on words\n" * 2000,
        "```\n" * 5000,
        "   ```a\n" * 5000,
        CODE + "f'{'\n" * 1000,
        " \n" * 20_000,
        "<|a" * 5000,
    ],
    ids=range(7),
)
def test_a_long_answer_is_read_in_no_time(text):
    begun = time.process_time()
    function_code(text, "f"), fenced(text, "f")
    assert time.process_time() - begun < 2.0
