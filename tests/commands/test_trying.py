"""`posttrain try` asks a model as evaluation would, and says when it did not stop."""

from __future__ import annotations

import io
import json
import time

import pytest

from pipeline import machine
from tests import foreign_models, gguf_models, tiny_models
from tests.foreign_models import CHATML


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    found = machine.Machine(
        cores=1, memory_bytes=2**33, device="cpu", device_name="a test's", dtype="float32", threads=1,
        measured_at=time.time(),
    )  # fmt: skip
    monkeypatch.setattr(machine, "cached", lambda recheck=False: found)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def taught():
    return str(tiny_models.taught("qwen3"))


def test_the_answer_alone_is_on_stdout(command, taught):
    code, out, err = command("try", taught, "3 + 4 ?")
    assert code == 0 and "####" in out and "<|im_end|>" not in out and "did not stop" not in err


def test_several_texts_are_answered_one_by_one_as_evaluation_would(command, taught):
    from pipeline.engines.hf import open_engine
    from pipeline.types import Request

    texts = ["3 + 4 ?", "1 + 1 ?", "9 + 2 ?"]
    code, out, _ = command("try", taught, *texts, "--json", "--max-tokens", "40")
    answers = json.loads(out)["answers"]
    requests = [Request(messages=({"role": "user", "content": text},), max_tokens=40) for text in texts]
    expected = open_engine(taught, dtype="float32").generate(requests)
    assert code == 0 and [each["text"] for each in answers] == texts
    assert [each["answer"] for each in answers] == [found[0].text for found in expected]
    assert all(each["stopped"] is True and each["ending"] == "<|im_end|>" and each["tokens"] > 0 for each in answers)
    _, out, _ = command("try", taught, *texts)
    assert [line for line in out.splitlines() if line.startswith("> ")] == [f"> {text}" for text in texts]


def test_an_answer_that_was_cut_off_is_said_to_be(command, taught):
    code, out, err = command("try", taught, "3 + 4 ?", "--max-tokens", "2")
    assert code == 0 and "did not stop: cut off after 2 tokens; --max-tokens N" in err and "did not" not in out
    _, out, _ = command("try", taught, "3 + 4 ?", "--max-tokens", "2", "--json")
    assert json.loads(out)["answers"][0]["stopped"] is False


def test_a_system_message_and_a_seed_change_what_is_asked_and_drawn(command, taught):
    def answer(*more):
        code, out, _ = command("try", taught, "3 + 4 ?", "--max-tokens", "12", *more)
        assert code == 0
        return out

    hot = ("--temperature", "2")
    assert answer("--system", "You repeat numbers.") != answer() == answer()
    assert answer(*hot, "--seed", "1") == answer(*hot, "--seed", "1") != answer(*hot, "--seed", "2")


def test_stdin_is_one_text(command, taught, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("3 + 4 ?\n"))
    code, out, _ = command("try", taught, "--json")
    assert code == 0 and json.loads(out)["answers"][0]["text"] == "3 + 4 ?"
    monkeypatch.setattr("sys.stdin", io.StringIO("  \n"))
    code, _, err = command("try", taught)
    assert code == 2 and "an empty text" in err


def test_a_run_folder_stands_for_its_final_model(command, taught, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text("{}")
    code, _, err = command("try", run, "3 + 4 ?")
    assert code == 2 and "has no final_model/ yet" in err and err.count("\n") == 1
    code, _, err = command("try", run / "final_model", "3 + 4 ?")
    assert code == 2 and "has no final_model/ yet" in err and err.count("\n") == 1
    code, _, err = command("try", run / "other_model", "3 + 4 ?")
    assert code == 2 and f"the run {run} has no other_model" in err and err.count("\n") == 1
    (run / "final_model").symlink_to(taught)
    assert command("try", run, "3 + 4 ?")[1] == command("try", taught, "3 + 4 ?")[1]


def test_a_gguf_file_can_be_asked(command, tmp_path):
    llama = foreign_models.llama(tmp_path / "m", foreign_models.tokenizer(CHATML))
    file = gguf_models.write(llama, tmp_path / "m.gguf", "Q8_0")
    code, out, err = command("try", file, "Hello?", "--max-tokens", "5", "--json")
    assert code == 0, err
    assert json.loads(out)["answers"][0]["tokens"] <= 5


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere", "x"], "unknown model 'nowhere'"),
        (["lab/qwen4", "x"], "unknown lab model"),
        (["./gone.gguf", "x"], "no such folder or GGUF file"),
    ],
)
def test_what_is_no_model_is_one_line(command, arguments, told):
    code, out, err = command("try", *arguments)
    assert (code, out) == (2, "") and told in err and err.count("\n") == 1
