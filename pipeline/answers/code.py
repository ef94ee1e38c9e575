"""Python out of a chat answer: what stands in a fence, or the whole text where there is none."""

from __future__ import annotations

import ast
import re

from pipeline.answers.reasoning import spoken

# a fence inside the code, such as a docstring's, is indented deeper than the one that closes the code
FENCE = re.compile(
    r"^(?P<indent>[ \t]*)(?P<marks>`{3,}|~{3,})[ \t]*(?P<language>[\w+-]*)[^\n`]*\n"
    r"(?P<body>.*?)(?:^(?P=indent)?[ ]{0,3}(?P=marks)[ \t\r]*$|(?P<open>\Z))",
    re.DOTALL | re.MULTILINE,
)
PYTHON = ("python", "py", "python3")
END = re.compile(r"(?:<\|\w{1,30}\|>|</s>|<end_of_turn>|<eos>)\Z")  # of a turn, where an engine wrote it out
DEFINED = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)


def plain(text: str) -> str:
    """What was said, without what only its way here put there: a byte order mark, carriage returns, ends of turns."""
    said = re.sub(r"\r\n?", "\n", spoken(text).removeprefix("\ufeff"))
    while found := END.search(said.rstrip()):
        said = said[: found.start()]
    return said


def defines(code: str, name: str) -> bool:
    """Whether code, no body that only continues a function's head, defines function `name`."""
    first = next((line for line in code.splitlines() if line.strip()), "")
    return not first[:1].isspace() and re.search(rf"^[ \t]*(?:async\s+)?def\s+{name}\b", code, re.MULTILINE) is not None


def fenced(text: str, name: str = "") -> str | None:
    """What stands in the last fence that defines function `name`, with what earlier ones define for it.

    Else in the last Python fence, else in the last fence of any language. None without a fence, or where the text is
    code that has a fence only inside. An unclosed fence ends the text.
    """
    said = plain(text)
    blocks = [(found["language"].lower(), _body(found)) for found in FENCE.finditer(said)]
    defining = [place for place, (_, body) in enumerate(blocks) if name and defines(body, name)]
    if defining:
        before = [body for language, body in blocks[: defining[-1]] if language in (*PYTHON, "")]
        return "".join([*(body for body in before if _only_defines(body, name)), blocks[defining[-1]][1]])
    if name and defines(said, name) and _parses(said):
        return None
    python = [body for language, body in blocks if language in PYTHON]
    bodies = python or [body for _, body in blocks]
    return bodies[-1] if bodies else None


def function_code(text: str, name: str) -> str:
    """The code that defines function `name`: what stands in fences, else the text; or else what may be its body.

    Prose around bare code is cut off as long as what is left does not parse, and words that parse as names are.
    """
    block = fenced(text, name)
    if block is not None and defines(block, name):
        return block
    bare = _without_prose(plain(text))
    return bare if block is None or (defines(bare, name) and _parses(bare)) else block


def _body(found: re.Match[str]) -> str:
    """The lines of a fence, without the indentation that the fence itself has."""
    body = found["body"]
    if found["open"] is not None:  # perhaps closed on the last line of the code
        body = re.split(rf"(?<=\S){found['marks']}[ \t]*$", body, maxsplit=1, flags=re.MULTILINE)[0]
    return re.sub(rf"^[ \t]{{1,{len(found['indent'])}}}", "", body, flags=re.MULTILINE) if found["indent"] else body


def _only_defines(code: str, name: str) -> bool:
    """Whether code does nothing but import and define, and without what function `name` gives."""
    try:
        body = ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(isinstance(each, DEFINED) for each in body) and not any(
        isinstance(node, ast.Name) and node.id == name
        for each in body
        if isinstance(each, ast.Assign | ast.AnnAssign)
        for node in ast.walk(each)
    )


def _without_prose(text: str) -> str:
    lines = text.splitlines()
    starts = [i for i, line in enumerate(lines) if re.match(r"(?:from|import|def|class|async|@|#)\b|@|#", line)]
    if _parses(text):
        return _without_words(text)
    if not starts:
        return text
    begin, end = starts[0], len(lines)
    while end > begin:
        part = "\n".join(lines[begin:end])
        try:
            ast.parse(part)
        except SyntaxError as error:  # up to there it may be code; within an f-string lines are counted anew
            line = end - begin if "f-string" in error.msg else error.lineno or 0
            end = min(end - 1, begin + line - 1)
        except (ValueError, RecursionError, MemoryError):
            end -= 1
        else:
            return _without_words(part) + "\n"
    return "\n".join(lines[begin:]) + "\n"


def _without_words(code: str) -> str:
    """Code without the lines of prose that happen to be Python: `Done`, or `Note: simple`."""
    lines = code.splitlines(keepends=True)
    for each in ast.parse(code).body:
        is_name = isinstance(each, ast.Expr) and isinstance(each.value, ast.Name)
        if is_name or (isinstance(each, ast.AnnAssign) and each.value is None):
            lines[each.lineno - 1 : each.end_lineno] = ["\n"] * ((each.end_lineno or each.lineno) - each.lineno + 1)
    return "".join(lines)


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return bool(text.strip())
