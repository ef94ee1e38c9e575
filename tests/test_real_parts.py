"""Real parts are fetched once, compared with their digests, kept whole or not at all. No test leaves this machine."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

from tests import real_parts
from tests.real_parts import Part

WORDS, SETTINGS = b'{"words": 1}', b"{}"
FILES = {"tokenizer.json": WORDS, "tokenizer_config.json": SETTINGS}
NAME = "tiny"


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tarball(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as made:
        for name, content in {**files, "../../escape": b"x", "main.js": b"run me"}.items():
            member = tarfile.TarInfo(f"package/models/{name}")
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def wheel(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, content in files.items():
            made.writestr(f"package/models/{name}", content)
    return buffer.getvalue()


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """A client that brings `archive`, under the name of npm; it notes its calls."""
    monkeypatch.setenv(real_parts.FOLDER, str(tmp_path / "parts"))
    client = tmp_path / "bin" / "npm"
    client.parent.mkdir()
    client.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\nsleep 0.1\n'
        f"if [ -e {tmp_path}/down ]; then echo 'npm error network' >&2; exit 1; fi\ncp {tmp_path}/archive tiny.tgz\n"
    )
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}:/usr/bin:/bin")
    put(tmp_path, monkeypatch, tarball(FILES))
    return tmp_path


def put(place: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, **changes: str) -> None:
    """Make `content` the archive, and what is expected of it."""
    (place / "archive").write_bytes(content)
    given = {"client": "npm", "archive": sha(content)} | changes
    files = {name: sha(text) for name, text in FILES.items()}
    made = Part(package="@who/tiny", version="1.2.3", inside="package/models", files=files, **given)
    monkeypatch.setattr(real_parts, "PARTS", {NAME: made})


def calls(place: Path) -> list[str]:
    return (place / "calls").read_text().splitlines() if (place / "calls").exists() else []


def left(place: Path) -> set[str]:
    """What lies in the folder of parts, locks apart."""
    return {path.name for path in (place / "parts").iterdir() if not path.name.endswith(".lock")}


def test_a_part_is_fetched_once_and_only_its_data_files_are_kept(registry):
    assert not real_parts.is_here(NAME)
    where = real_parts.get(NAME)
    assert {path.name: path.read_bytes() for path in where.iterdir()} == FILES
    assert real_parts.get(NAME) == where == registry / "parts" / "tiny-1.2.3" and real_parts.is_here(NAME)
    assert len(calls(registry)) == 1 and "@who/tiny@1.2.3" in calls(registry)[0]
    assert "--ignore-scripts" in calls(registry)[0] and left(registry) == {"tiny-1.2.3"}


def test_a_damaged_or_torn_part_is_fetched_again(registry):
    where = real_parts.get(NAME)
    (where / "tokenizer.json").write_bytes(b'{"words": 2}')
    assert real_parts.get(NAME) == where and (where / "tokenizer.json").read_bytes() == WORDS
    (where / "tokenizer_config.json").unlink()
    assert not real_parts.is_here(NAME)
    real_parts.get(NAME)
    assert real_parts.is_here(NAME) and len(calls(registry)) == 3 and left(registry) == {"tiny-1.2.3"}


def test_a_new_version_lies_beside_the_old_one(registry, monkeypatch):
    old = real_parts.get(NAME)
    newer = Part(**{**vars(real_parts.PARTS[NAME]), "version": "1.3.0"})
    monkeypatch.setattr(real_parts, "PARTS", {NAME: newer})
    assert real_parts.get(NAME) != old and left(registry) == {"tiny-1.2.3", "tiny-1.3.0"}


def test_two_at_once_fetch_it_once(registry):
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(real_parts.get(NAME))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1 and len(found) == 3 and len(calls(registry)) == 1


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines()[-1].startswith("error: ")
    return err.splitlines()[-1]


def test_other_bytes_than_expected_are_refused_and_nothing_is_kept(registry, monkeypatch, capsys):
    put(registry, monkeypatch, tarball(FILES), archive="0" * 64)
    assert real_parts.main([NAME]) == 2
    assert "@who/tiny 1.2.3: its SHA-256 is" in one_line(capsys) and left(registry) == set()
    put(registry, monkeypatch, tarball({**FILES, "tokenizer.json": b"other"}))
    assert real_parts.main([NAME]) == 2
    assert "@who/tiny 1.2.3, tokenizer.json: its SHA-256 is" in one_line(capsys) and left(registry) == set()


@pytest.mark.parametrize("content", [b"no archive", tarball({"tokenizer.json": WORDS}), b""])
def test_an_archive_that_is_none_or_lacks_a_file_is_one_line(registry, monkeypatch, capsys, content):
    put(registry, monkeypatch, content)
    assert real_parts.main([NAME]) == 2
    assert "@who/tiny 1.2.3: what npm brought cannot be read" in one_line(capsys) and left(registry) == set()


def test_no_network_and_no_npm_are_one_line_each(registry, monkeypatch, capsys):
    (registry / "down").touch()
    assert real_parts.main([NAME]) == 2
    assert "npm brought nothing (npm error network): check the network" in one_line(capsys)
    monkeypatch.setenv("PATH", str(registry / "nowhere"))
    assert real_parts.main(["--quiet", NAME]) == 2
    assert "npm is not installed: install it" in one_line(capsys) and left(registry) == set()


def test_an_unknown_part_and_a_folder_that_cannot_be_made_are_one_line(registry, monkeypatch, capsys):
    assert real_parts.main(["qwen9"]) == 2 and "unknown part 'qwen9': known are tiny" in one_line(capsys)
    (registry / "file").touch()
    monkeypatch.setenv(real_parts.FOLDER, str(registry / "file"))
    assert real_parts.main([NAME]) == 2 and "cannot be written" in one_line(capsys)


def test_a_wheel_is_taken_apart_without_being_installed(registry, monkeypatch):
    put(registry, monkeypatch, wheel(FILES), client="pip")
    monkeypatch.setattr(real_parts, "PIP", ("npm",))
    where = real_parts.get(NAME)
    assert {path.name: path.read_bytes() for path in where.iterdir()} == FILES
    assert calls(registry) == ["--dest . @who/tiny==1.2.3"]


def test_what_is_shipped_is_pinned():
    for part in real_parts.PARTS.values():
        assert all(len(digest) == 64 for digest in (part.archive, *part.files.values()))
        assert part.call[-1].endswith(part.version) and "://" not in " ".join(part.call)


@pytest.mark.real("qwen3", "gemma3")
def test_what_was_fetched_is_still_what_it_was():
    assert all(real_parts.is_whole(name) for name in ("qwen3", "gemma3"))
