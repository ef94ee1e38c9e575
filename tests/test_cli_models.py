"""Models that no family knows, and adapters, by the real command: scored, or one line for what is missing."""

from __future__ import annotations

import json
import time

import pytest

from pipeline import chat, machine, weights
from pipeline.paths import read_json, write_json
from tests import foreign_models
from tests.foreign_models import CHATML, real_template

ON = ["--benchmark", "tiny_gsm8k", "--limit", "2"]


@pytest.fixture
def run(command, tmp_path, monkeypatch):
    """Calls the command in this process, among `base` (without a template), `instruct`, `gpt2` and `adapter`."""
    quick = machine.Machine(
        cores=1, memory_bytes=2**33, device="cpu", device_name="a test's", dtype="float32", threads=1,
        measured_at=time.time(),
    )  # fmt: skip
    monkeypatch.setattr(machine, "cached", lambda recheck=False: quick)
    monkeypatch.chdir(tmp_path)
    foreign_models.llama(tmp_path / "base", foreign_models.tokenizer(None))
    foreign_models.llama(tmp_path / "instruct", foreign_models.tokenizer(CHATML))
    foreign_models.gpt2(tmp_path / "gpt2", foreign_models.tokenizer(CHATML))
    adapter(tmp_path)

    def call(*arguments):
        code, out, err = command(*arguments)
        return code, out, err.strip().splitlines()[-1] if err.strip() else ""

    return call


def adapter(place):
    from peft import LoraConfig, get_peft_model

    settings = LoraConfig(target_modules=["q_proj"], init_lora_weights=False)
    get_peft_model(weights.load_model(place / "instruct"), settings).save_pretrained(place / "adapter")
    file = place / "adapter" / chat.ADAPTER
    write_json(file, read_json(file) | {"base_model_name_or_path": "/gone/elsewhere"})


def test_a_strange_base_is_scored_beside_the_sibling_whose_template_it_takes(run):
    code, out, _ = run(
        "evaluate", "base", *ON, "--base", "base", "--instruct", "instruct", "--family", "auto", "--json"
    )
    document = json.loads(out)
    assert code == 0 and document["scores"] == document["base"] and "fraction_why" in document


def test_a_model_with_other_matrices_and_names_is_compared_with_an_adapter_on_a_named_base(run):
    code, out, _ = run("compare", "gpt2", "adapter", "--base", "instruct", *ON, "--json")
    assert code == 0 and json.loads(out)["benchmarks"][0]["n"] == 2


def test_an_adapter_alone_is_scored_on_the_base_that_is_named(run):
    code, out, _ = run("evaluate", "adapter", "--base", "instruct", *ON, "--json")
    assert code == 0 and "fraction" not in json.loads(out) and "base" not in json.loads(out)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["evaluate", "base", *ON], "has no chat template: name an instruct-tuned sibling"),
        (["evaluate", "adapter", *ON], "not a folder here: name it with --base"),
        (["evaluate", "base", "--instruct", "instruct", *ON], "the fraction needs the base, too"),
        (["evaluate", "base", "--family", "gemma3", *ON], "has no <end_of_turn>"),
        (["evaluate", "base", "--family", "auto3", *ON], "did you mean auto"),
        (["evaluate", "gpt2", "--thinking", *ON], "knows no thinking: omit it"),
        (["evaluate", "gpt2", "--thinking", "--engine", "recorded:x.jsonl", *ON], "'recorded' has no such switch"),
        (["open", "--model", "base", *ON[:2], "--budget", "1m", "--out", "run"], "has no chat template"),
        (["search", "--model", "base", *ON[:2], "--budget", "1m", "--family", "nope"], "unknown family 'nope'"),
    ],
)
def test_what_is_missing_is_one_line_on_stderr(run, arguments, told):
    code, out, last = run(*arguments)
    assert (code, out) == (2, "") and told in last


def test_a_run_on_a_strange_base_knows_its_family_in_every_process(run, tmp_path):
    from pipeline import asking
    from pipeline.types import Budget

    asked = asking.Asked(
        model="base", instruct="instruct", benchmark="tiny_gsm8k", budget=Budget(seconds=60.0), agent=None
    )
    request = asking.to_request(asked)
    assert request.family == "auto" and request.model == "base"
    assert chat.family_of(request.model_path).end_of_turn == "<|im_end|>"
    named = asking.to_request(asked.model_copy(update={"family": "qwen3", "instruct": None}))
    assert chat.family_of(named.model_path).name == "qwen3"


def test_thinking_changes_the_prompt_of_a_model_that_knows_it(tmp_path):
    from pipeline.engines.hf import open_engine
    from pipeline.types import Request

    tokens = foreign_models.tokenizer(real_template("qwen3"), (*foreign_models.SPECIAL, "<think>", "</think>"))
    folder = str(foreign_models.llama(tmp_path / "thinks", tokens))
    asked = [Request(messages=({"role": "user", "content": "2 + 2 ?"},))]
    prompts = [
        open_engine(folder, dtype="float32", thinking=on).tokenizer.decode(
            open_engine(folder, dtype="float32", thinking=on)._encode(asked)[0]
        )
        for on in (False, True)
    ]
    assert prompts[0].endswith("<think>\n\n</think>\n\n") and prompts[1].endswith("<|im_start|>assistant\n")


def test_models_are_listed_with_what_is_needed_to_choose_one(run):
    code, out, _ = run("list", "models", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    base = rows["Qwen/Qwen3-1.7B-Base"]
    assert code == 0 and base["instruct"] == "Qwen/Qwen3-1.7B" and base["revision"] == "main"
    assert base["parameters"] == 1_720_574_976 and base["licence"] == "Apache-2.0" and not base["gated"]
    assert set(base["memory_bytes"]) == {"lora", "lora_embeddings", "full"}
    assert base["embeddings"]["rows"] == 151_936 and 0.18 < base["embeddings"]["share"]["parameters"] < 0.19
    assert "151,936 embeddings: 18% of the parameters, 9%, 47%, 16% of that memory" in base["summary"]
    assert 0 < rows["lab/qwen3-base"]["embeddings"]["share"]["parameters"] < 1
    assert rows["google/gemma-3-4b-pt"]["gated"] and not rows["HuggingFaceTB/SmolLM3-3B-Base"]["gated"]
    assert rows["lab/gemma3-base"]["parameters"] < 1_000_000
    assert all(row["summary"] for row in rows.values())
