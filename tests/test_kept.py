from __future__ import annotations

import pytest

from pipeline import kept

PATTERNS = ("generators/*", "answers/call_prompt.py")


@pytest.fixture
def package(monkeypatch, tmp_path):
    """A package with two of the files that a digest is asked for."""
    monkeypatch.setattr(kept, "PACKAGE", tmp_path)
    for name in ("generators/words.yaml", "answers/call_prompt.py"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(name)
    kept.code_digest.cache_clear()
    yield tmp_path
    kept.code_digest.cache_clear()


def test_what_python_compiled_beside_the_code_changes_no_digest(package):
    before = kept.code_digest(PATTERNS)
    (package / "generators" / "__pycache__").mkdir()
    (package / "generators" / "__pycache__" / "words.cpython-311.pyc").write_text("compiled")
    kept.code_digest.cache_clear()
    assert kept.code_digest(PATTERNS) == before


def test_another_version_of_a_named_file_is_another_digest(package):
    before = kept.code_digest(PATTERNS)
    (package / "generators" / "words.yaml").write_text("other words")
    kept.code_digest.cache_clear()
    assert kept.code_digest(PATTERNS) != before
