from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from pipeline import plugins
from pipeline.contracts import Guard

DOORS = ("on_proposal", "on_source", "on_submission", "on_finish")


@pytest.mark.parametrize("name", plugins.names("guards"))
def test_a_guard_stands_at_one_door_at_least_and_takes_what_the_door_hands_it(name):
    guard = plugins.load("guards", name)
    doors = [door for door in DOORS if hasattr(guard, door)]
    assert doors
    for door in doors:
        asked = [p for p in inspect.signature(getattr(guard, door)).parameters.values() if p.default is p.empty]
        handed = list(inspect.signature(getattr(Guard, door)).parameters)[1:]  # without self
        assert [parameter.name for parameter in asked] == handed


@pytest.mark.parametrize("name", plugins.names("guards"))
def test_a_guard_says_in_one_line_what_it_guards(name):
    assert 20 < len(plugins.summary("guards", name)) <= 120


def test_guards_import_no_heavy_library_and_not_each_other():
    code = (
        "import sys\n"
        "from pipeline import plugins\n"
        "for name in plugins.names('guards'):\n"
        "    before = set(sys.modules)\n"
        "    plugins.load('guards', name)\n"
        "    new = {m for m in set(sys.modules) - before if m.startswith('pipeline.guards.')}\n"
        "    assert new == {f'pipeline.guards.{name}'}, new\n"
        "heavy = {'torch', 'transformers', 'trl', 'peft', 'datasets', 'lm_eval', 'pyarrow'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_guards_that_ship():
    assert {"bounds", "contamination", "files", "identity"} <= set(plugins.names("guards"))
