"""Code out of chat answers."""

from __future__ import annotations

import pytest

from pipeline.answers.code import fenced, function_code

CODE = "def f(x):\n    return x + 1\n"


@pytest.mark.parametrize(
    "text",
    [
        CODE,
        f"```python\n{CODE}```",
        f"Sure! Here it is:\n\n```python\n{CODE}```\n\nIt adds one.",
        f"```\n{CODE}```",
        f"~~~py\n{CODE}~~~",
        f"```python\n{CODE}",  # cut off
        f"Use it:\n```python\n{CODE}```\nFor example:\n```python\nprint(f(1))\n```",
        f"<think>```python\ndef f(x): pass\n```</think>\n```python\n{CODE}```",
        f"Here is the function.\n{CODE}\nI hope that it helps.",
    ],
)
def test_the_function_is_unwrapped(text):
    space: dict = {}
    exec(function_code(text, "f"), space)
    assert space["f"](1) == 2


def test_a_python_fence_goes_before_others():
    assert fenced("```python\na = 1\n```\n```\nout\n```") == "a = 1\n"
    assert fenced("```sh\nls\n```") == "ls\n" and fenced("no fence") is None
