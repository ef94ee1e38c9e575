"""Many small programs in one sandbox: starting one costs a tenth of a second, running a few lines nothing.

Only plain computation shares a sandbox: functions of arithmetic, comparisons and a few built-ins, without imports,
attributes or anything else by which one program could reach another. Whatever is more than that runs alone, as does
every program of a company that did not come to its end.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from pipeline.sandbox.checks import Check, Verdict, check_all
from pipeline.sandbox.guests import Limits, how

COMPANY = 32  # programs that share a sandbox
CALLS = frozenset(
    "abs all any enumerate float int len list max min range reversed round set sorted str sum tuple zip".split()
)
NODES = (
    ast.Module, ast.FunctionDef, ast.arguments, ast.arg, ast.Return, ast.Assign, ast.AugAssign, ast.If, ast.For,
    ast.Expr, ast.Pass, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call, ast.Name, ast.Constant,
    ast.List, ast.Tuple, ast.Subscript, ast.Slice, ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context,
)  # fmt: skip
TOGETHER = """
FUNCTIONS = []
for code, entry in {programs!r}:
    space = {{}}
    try:
        exec(code, space)
    except Exception:
        pass
    FUNCTIONS.append(space.get(entry))
def run(which, args, kwargs):
    return FUNCTIONS[which](*args, **kwargs)
"""
TESTS = """
def passes(run, which, prompt, tests, entry):
    space = {{}}
    def candidate(*args, **kwargs):
        return run(which, args, kwargs)
    try:
        exec(prompt, space)
        space[entry] = candidate
        exec(tests, space)
        if callable(space.get("check")):
            space["check"](candidate)
        return True
    except Exception:
        return False
def check(run):
    passed = [which for which, each in enumerate({tests!r}) if passes(run, which, *each)]
    raise AssertionError("passed " + hex(sum(1 << which for which in passed)))
"""


def check_together(asked: Sequence[Check], limits: Limits | None = None) -> list[Verdict]:
    """Verdicts in the order of the checks: the same programs pass as with `check_all`. Raises Unavailable."""
    how()
    verdicts: dict[int, Verdict] = {}
    alone: list[int] = []
    plain: list[int] = []
    for number, each in enumerate(asked):
        fault = _broken(each)
        if fault:
            verdicts[number] = Verdict(passed=False, reason=fault)
        else:
            (plain if is_plain(each.program, each.entry) else alone).append(number)
    companies = [plain[at : at + COMPANY] for at in range(0, len(plain), COMPANY)]
    joint = check_all([_joined([asked[number] for number in each]) for each in companies], limits)
    for company, said in zip(companies, joint, strict=True):
        found = _apart(said, len(company))
        alone += [] if found else company
        verdicts |= dict(zip(company, found, strict=False))
    verdicts |= dict(zip(alone, check_all([asked[number] for number in alone], limits), strict=True))
    return [verdicts[number] for number in range(len(asked))]


def is_plain(program: str, entry: str) -> bool:
    """Whether a program is nothing but functions of plain computation, `entry` among them."""
    tree = ast.parse(program)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    if len(functions) < len(tree.body) or entry not in [each.name for each in functions]:
        return False
    return all(_harmless(node) for node in ast.walk(tree))


def _harmless(node: ast.AST) -> bool:
    if not isinstance(node, NODES) or isinstance(node, ast.Pow | ast.LShift):
        return False  # towers of powers end a company in its time limit
    if isinstance(node, ast.FunctionDef):
        return not node.decorator_list
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in CALLS
    if isinstance(node, ast.Name | ast.arg):
        name = node.id if isinstance(node, ast.Name) else node.arg
        return not name.startswith("__") and not (isinstance(getattr(node, "ctx", None), ast.Store) and name in CALLS)
    return True


def _broken(asked: Check) -> str:
    """Why a program cannot even be read; empty if it can."""
    try:
        ast.parse(asked.program)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"{type(error).__name__}: it is no Python"
    return ""


def _joined(checks: Sequence[Check]) -> Check:
    return Check(
        program=TOGETHER.format(programs=[(each.program, each.entry) for each in checks]),
        tests=TESTS.format(tests=[(each.prompt, each.tests, each.entry) for each in checks]),
        entry="run",
        prompt="",
    )


def _apart(said: Verdict, n: int) -> list[Verdict]:
    """Each program's verdict; none where the company did not come to its end."""
    before, _, found = said.reason.partition("passed ")
    if before != "AssertionError: ":
        return []
    passed = [bool(int(found, 16) >> which & 1) for which in range(n)]
    return [Verdict(passed=each, reason="" if each else "its tests failed") for each in passed]
