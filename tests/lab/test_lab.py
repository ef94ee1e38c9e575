"""The lab, at micro size: built once, whole or not at all, the same weights every time."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import lab
from pipeline.errors import InputError

FAMILIES = ("gemma3", "qwen3", "smollm3")
CLASSES = {"gemma3": "Gemma3ForCausalLM", "qwen3": "Qwen3ForCausalLM", "smollm3": "SmolLM3ForCausalLM"}


def weights_digest(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module", autouse=True)
def micro() -> None:
    """All labs in here are micro labs."""
    before = os.environ.get("POSTTRAIN_LAB")
    os.environ["POSTTRAIN_LAB"] = "micro"
    yield
    os.environ.pop("POSTTRAIN_LAB")
    if before is not None:
        os.environ["POSTTRAIN_LAB"] = before


@pytest.mark.parametrize("family", FAMILIES)
def test_a_base_has_the_familys_architecture_and_no_chat_template(family: str) -> None:
    from transformers import AutoTokenizer

    base = lab.resolve(f"lab/{family}-base")
    assert json.loads((base / "config.json").read_text())["architectures"] == [CLASSES[family]]
    tokenizer = AutoTokenizer.from_pretrained(base)
    assert not tokenizer.chat_template
    assert len(tokenizer("123", add_special_tokens=False)["input_ids"]) == 3  # a token for each digit
    assert AutoTokenizer.from_pretrained(lab.resolve(f"lab/{family}")).chat_template


@pytest.mark.parametrize("family", FAMILIES)
def test_an_instruct_model_ends_its_turn_with_plain_generate(family: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = lab.resolve(f"lab/{family}")
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    assert not model.training and model.dtype == torch.float32
    ends = model.generation_config.eos_token_id
    assert tokenizer.eos_token_id in (ends if isinstance(ends, list) else [ends])
    assert tokenizer.eos_token in ("<|im_end|>", "<end_of_turn>")


def test_a_lab_is_built_once_and_found_again() -> None:
    told: list[str] = []
    first = lab.build("qwen3", progress=lambda what, *_: told.append(what))
    told.clear()
    assert lab.build("qwen3", progress=lambda what, *_: told.append(what)) == first and told == []
    assert [entry["family"] for entry in lab.listing() if entry["folder"] == first.name] == ["qwen3"]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path: Path) -> None:
    code = (
        "import hashlib, sys; from pipeline import lab;"
        "f = lab.build('qwen3', int(sys.argv[1]));"
        "print(*[hashlib.sha256((f / m / 'model.safetensors').read_bytes()).hexdigest() for m in ('base', 'instruct')])"
    )

    def build(home: str, seed: int) -> str:
        env = {**os.environ, "POSTTRAIN_HOME": str(tmp_path / home), "POSTTRAIN_LAB": "micro"}
        command = [sys.executable, "-c", code, str(seed)]
        return subprocess.run(command, env=env, capture_output=True, check=True, text=True).stdout

    here = lab.build("qwen3", 0)
    assert build("again", 0).split() == [weights_digest(here / name) for name in ("base", "instruct")]
    assert weights_digest(lab.build("qwen3", 7) / "base") != weights_digest(here / "base")


@pytest.mark.slow
def test_two_processes_that_want_a_lab_build_it_once(tmp_path: Path) -> None:
    code = (
        "from pipeline import lab; told = [];"
        "f = lab.build('smollm3', 0, progress=lambda what, *_: told.append(what));"
        "print(f.name, 'lab smollm3, three worlds: building' in told)"
    )
    env = {**os.environ, "POSTTRAIN_HOME": str(tmp_path), "POSTTRAIN_LAB": "micro"}
    command = [sys.executable, "-c", code]
    running = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=300)[0].split() for process in running]
    assert said[0][0] == said[1][0] and sorted(line[1] for line in said) == ["False", "True"]
    assert [path.name for path in (tmp_path / "lab").iterdir() if path.is_dir()] == [said[0][0]]


def test_a_build_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from pipeline.lab import making

    monkeypatch.setenv("POSTTRAIN_HOME", str(tmp_path))
    monkeypatch.setattr(making, "tune", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        lab.build("qwen3")
    assert not [path for path in (tmp_path / "lab").iterdir() if path.is_dir()]


def test_clear_removes_labs_and_what_was_derived_from_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("POSTTRAIN_HOME", str(tmp_path))
    folder = tmp_path / "lab" / "qwen3-0-abc"
    folder.mkdir(parents=True)
    (tmp_path / "rows").mkdir()
    assert lab.clear() == ["qwen3-0-abc"]
    assert not folder.exists() and not (tmp_path / "rows").exists()


def test_the_fingerprint_reads_code_not_layout(tmp_path: Path) -> None:
    one, two, three = (tmp_path / name for name in ("a.py", "b.py", "c.py"))
    one.write_text('"""A."""\n\n\ndef f():\n    """D."""\n    return 1  # why\n')
    two.write_text("def f():\n    return 1\n")
    three.write_text("def f():\n    return 2\n")
    assert lab._meaning(one) == lab._meaning(two) != lab._meaning(three)


def test_wrong_names_and_scales_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="lab/qwen3-base"):
        lab.resolve("lab/qwen9")
    monkeypatch.setenv("POSTTRAIN_LAB", "nano")
    with pytest.raises(InputError, match="full, micro"):
        lab.build("qwen3")
