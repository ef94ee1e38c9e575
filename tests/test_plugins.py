from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

import pipeline.agents
from pipeline import plugins
from pipeline.errors import InputError


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """A package `pipeline` look-alike with two agents and a helper."""
    agents = tmp_path / "agents"
    agents.mkdir()
    (agents / "good.py").write_text('"""Proposes well.\n\nMore."""\n\ndef create(brief, seed):\n    return "agent"\n')
    (agents / "broken.py").write_text('raise RuntimeError("imported")\ndef create(brief, seed): ...\n')
    (agents / "helper.py").write_text('"""No agent."""\nX = 1\n')
    (agents / "_private.py").write_text("def create(brief, seed): ...\n")
    monkeypatch.setattr(plugins, "PACKAGE", tmp_path)
    return tmp_path


def test_listing_and_summarising_import_nothing_and_leave_helpers_out(folder):
    assert plugins.names("agents") == ["broken", "good"]
    assert plugins.summary("agents", "good") == "Proposes well."
    assert plugins.summary("agents", "broken") == ""


def test_a_kind_whose_folder_is_empty_or_missing_has_no_names(folder):
    assert plugins.names("guards") == []


def test_an_unknown_name_lists_what_exists_nearest_first(folder):
    with pytest.raises(InputError, match="unknown agent 'god': did you mean good.*known are broken, good"):
        plugins.load("agents", "god")
    with pytest.raises(InputError, match="unknown family 'x'.*known are none"):
        plugins.load("families", "x")


def test_an_unknown_kind_lists_the_kinds():
    for call in (plugins.names, lambda kind: plugins.load(kind, "a.b")):
        with pytest.raises(InputError, match="known are agents, engines"):
            call("agent")


def test_a_module_of_the_users_folder_is_found_by_its_dotted_address(monkeypatch, tmp_path):
    (tmp_path / "my_agents.py").write_text(
        textwrap.dedent("""
            class Special:
                @staticmethod
                def make(brief, seed):
                    return (brief, seed)

            def create(brief, seed):
                return "default"
        """)
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    assert plugins.entry("agents", "my_agents:Special.make")(1, 2) == (1, 2)
    assert plugins.load("agents", "my_agents:create")(1, 2) == "default"


def test_entry_of_a_dotted_module_is_the_kinds_function_and_its_absence_is_an_error(monkeypatch, tmp_path):
    (tmp_path / "users").mkdir()
    (tmp_path / "users" / "trainer.py").write_text('def train(task):\n    return ("trained", task)\n')
    monkeypatch.syspath_prepend(tmp_path)
    assert plugins.entry("trainers", "users.trainer")("task") == ("trained", "task")
    with pytest.raises(InputError, match="agent 'users.trainer': the module does not define create"):
        plugins.entry("agents", "users.trainer")
    with pytest.raises(InputError, match="has no missing"):
        plugins.load("trainers", "users.trainer:missing")


@pytest.mark.parametrize("address", ["../evil.py", "http://x.org/a", "a..b", ":create", "os.system('x')"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(InputError, match="not an address"):
        plugins.load("agents", address)


def test_a_missing_module_and_a_missing_dependency_are_told_apart(monkeypatch, tmp_path):
    with pytest.raises(InputError, match="there is no module nowhere_at_all"):
        plugins.load("agents", "nowhere_at_all.agent")
    (tmp_path / "needs_more.py").write_text("import not_installed_package\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match="needs the package not_installed_package: pip install"):
        plugins.load("agents", "needs_more:create")


def test_every_shipped_plugin_has_a_summary():
    for kind in plugins.ENTRIES:
        for name in plugins.names(kind):
            assert plugins.summary(kind, name), f"{kind}/{name}.py needs a docstring"


def test_importing_the_light_modules_imports_no_heavy_library():
    modules = "paths, plugins, params, recipe, ledger, machine"
    heavy = "{'torch', 'transformers', 'trl', 'peft', 'lm_eval', 'datasets'}"
    code = f"from pipeline import {modules}; import sys; print({heavy} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


# ---------------------------------------------------------------- arguments


@pytest.fixture
def arguing(folder, monkeypatch):
    """One agent that takes an argument beside one that takes none."""
    (folder / "agents" / "crowd.py").write_text(
        textwrap.dedent('''
            """Many."""
            from pipeline.errors import InputError

            EXAMPLE = "3,4"

            def check_argument(argument):
                if not argument:
                    raise InputError("how many?")

            def create(brief, seed, argument):
                return (brief, seed, argument)
        ''')
    )
    monkeypatch.setattr(pipeline.agents, "__path__", [str(folder / "agents")])
    yield
    for name in ("crowd", "good"):
        sys.modules.pop(f"pipeline.agents.{name}", None)


def test_an_argument_is_checked_and_handed_on_whatever_it_holds(arguing):
    for argument in ("3,4", "./my-agent {workdir}", "http://127.0.0.1:8000/v1#model", "a.b:c"):
        assert plugins.entry("agents", f"crowd:{argument}")(1, 2) == (1, 2, argument)
    for name in ("crowd", "crowd:", "crowd: "):
        with pytest.raises(InputError, match="how many"):
            plugins.entry("agents", name)


def test_an_agent_that_takes_no_argument_says_so(arguing):
    with pytest.raises(InputError, match="agent 'good:3': good takes no argument: write good"):
        plugins.entry("agents", "good:3")
    assert plugins.entry("agents", "good")(1, 2) == "agent"


def test_an_example_of_an_argument_is_read_without_importing(folder, arguing):
    assert plugins.example("agents", "crowd") == "crowd:3,4"
    assert plugins.example("agents", "good") == "good" and plugins.example("agents", "broken") == "broken"
