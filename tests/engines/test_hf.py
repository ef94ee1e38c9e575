"""The engine's answers are those of plain `generate`, item by item, whatever the batch."""

from __future__ import annotations

import copy
import json
import shutil

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from pipeline.chat import render
from pipeline.engines._decode import Row, sample
from pipeline.engines.hf import HfEngine, open_engine
from pipeline.errors import DataError
from pipeline.types import Request
from tests import tiny_models
from tests.tiny_models import FAMILIES
from tests.variants import few

QUESTIONS = [tiny_models.sums(number * 5)[0] for number in range(13)]
REQUESTS = [  # prompts of unlike lengths; one answer in four is cut
    Request(messages=({"role": "user", "content": question * (1 + number % 3)},), max_tokens=40 if number % 4 else 3)
    for number, question in enumerate(QUESTIONS)
]


@pytest.fixture(scope="module", params=FAMILIES)
def engine(request: pytest.FixtureRequest) -> HfEngine:
    return open_engine(str(tiny_models.taught(request.param)), dtype="float32")


def plain_generate(folder: str, engine: HfEngine, requests: list[Request]) -> list[str]:
    """One by one, with nothing of ours but the template."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    texts = []
    for request in requests:
        prompt = render(tokenizer, engine.family, list(request.messages or ()), generation=True)
        ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
        out = model.generate(**ids, max_new_tokens=request.max_tokens, do_sample=False)
        texts.append(tokenizer.decode(out[0, ids["input_ids"].shape[1] :], skip_special_tokens=True))
    return texts


@pytest.mark.parametrize("name", few(FAMILIES, 1))
def test_answers_equal_plain_generate_and_do_not_depend_on_the_batch(name):
    folder = str(tiny_models.taught(name))
    engine = open_engine(folder, dtype="float32")
    one_by_one = open_engine(folder, dtype="float32", batch_rows=1).generate(REQUESTS)
    assert any(answer[0].stopped for answer in one_by_one) and not all(answer[0].stopped for answer in one_by_one)
    for rows in (2, 5, 256):
        assert open_engine(folder, dtype="float32", batch_rows=rows).generate(REQUESTS) == one_by_one
    assert [answer[0].text for answer in one_by_one] == plain_generate(folder, engine, REQUESTS)


def test_a_model_is_stopped_at_its_turns_end_even_if_its_generation_config_says_nothing_of_it(tmp_path):
    folder = shutil.copytree(tiny_models.taught("qwen3"), tmp_path / "unmended")
    (folder / "generation_config.json").unlink()
    unmended = open_engine(str(folder), dtype="float32")
    assert unmended.generate(REQUESTS) == open_engine(str(tiny_models.taught("qwen3")), dtype="float32").generate(
        REQUESTS
    )


def test_an_answer_tells_the_token_that_ended_it_or_the_special_one_that_did_not(engine):
    row = Row([1], 8, tokens=[engine.tokenizer.convert_tokens_to_ids("4")], stopped=True, end=min(engine.ends))
    assert engine._completion(row).ending in (engine.family.end_of_turn, engine.family.pad)
    for token in engine.family.special_tokens:
        row = Row([1], 8, tokens=engine.tokenizer(f"4{token}5", add_special_tokens=False)["input_ids"])
        assert (engine._completion(row).text, engine._completion(row).ending) == ("45", token)
    assert (
        engine._completion(Row([1], 8, tokens=engine.tokenizer("45", add_special_tokens=False)["input_ids"])).ending
        is None
    )
    assert {answer.ending for [answer] in engine.generate(REQUESTS) if answer.stopped} <= {
        engine.family.end_of_turn, engine.family.pad
    }  # fmt: skip


def test_an_answer_ends_before_a_stop_text_and_that_is_not_stopping(engine):
    for request, [completion] in zip(REQUESTS[1:4], engine.generate(REQUESTS[1:4]), strict=True):
        until = completion.text[1:3]  # a taught model may answer in two characters
        assert until
        [[cut]] = engine.generate([request.model_copy(update={"until": (until, "never there")})])
        assert cut.text == completion.text[: completion.text.index(until)]
        assert not cut.stopped


def test_raw_text_is_continued_as_it_is_with_the_tokenizers_own_beginning(engine):
    [ids] = engine._encode([Request(text="2 + 2 =")])
    assert engine.tokenizer.decode(ids) == (engine.family.bos or "") + "2 + 2 ="
    [chat] = engine._encode(REQUESTS[:1])
    assert engine.family.bos is None or chat.count(engine.tokenizer.bos_token_id) == 1


def test_sampling_depends_on_the_seed_and_not_on_the_batch():
    folder = str(tiny_models.taught("qwen3"))
    requests = [request.model_copy(update={"temperature": 0.8, "top_p": 0.9, "n": 3}) for request in REQUESTS[:5]]
    answers = open_engine(folder, dtype="float32", seed=1).generate(requests)
    assert answers == open_engine(folder, dtype="float32", seed=1, batch_rows=2).generate(requests)
    assert answers != open_engine(folder, dtype="float32", seed=2).generate(requests)
    assert len({completion.text for completion in answers[0]}) > 1


class Draw:
    """A generator whose draws are known."""

    def __init__(self, value: float) -> None:
        self.value = value

    def random(self) -> float:
        return self.value


@pytest.mark.parametrize(
    ("draw", "top_p", "token"), [(0.0, 1.0, 2), (0.59, 1.0, 2), (0.61, 1.0, 0), (0.999999, 1.0, 1), (0.999999, 0.5, 2)]
)
def test_a_token_is_drawn_by_its_share_within_the_nucleus(draw, top_p, token):
    logits = torch.log(torch.tensor([0.3, 0.1, 0.6]))
    row = Row([0], 1, temperature=1.0, top_p=top_p, random=Draw(draw))  # type: ignore[arg-type]
    assert sample(logits[None], [row]).tolist() == [token]


def test_likelihoods_are_those_of_the_model(engine):
    pairs = [(REQUESTS[i], text) for i, text in enumerate(["4.", "17 apples.", "Answer: B"])]
    for (request, text), (value, greedy) in zip(pairs, engine.loglikelihood(pairs), strict=True):
        [prompt] = engine._encode([request])
        ending = engine.tokenizer(text, add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            scores = engine.model(torch.tensor([prompt + ending])).logits.log_softmax(-1)[0, len(prompt) - 1 : -1]
        expected = sum(float(scores[i, token]) for i, token in enumerate(ending))
        assert value == pytest.approx(expected, abs=1e-3)
        assert greedy == (scores.argmax(-1).tolist() == ending)


def test_the_likeliest_ending_is_that_of_each_scored_by_itself(engine):
    texts = ["4.", "17 apples.", "A", "Answer: B", "17 apples, and 3 more", *(tiny_models.sums(n)[1] for n in range(6))]
    endings = engine.tokenizer(texts, add_special_tokens=False)["input_ids"]
    for request in REQUESTS[:4]:
        apart = [value for value, _ in engine.loglikelihood([(request, text) for text in texts])]
        for at_once in (1, 4, 32):
            assert apart[engine.likeliest(request, endings, at_once)] == pytest.approx(max(apart), abs=1e-3)
    single = [ending[:1] for ending in endings]
    assert engine.likeliest(REQUESTS[0], single, 8) in range(len(single))


def test_a_token_without_an_embedding_and_a_refused_conversation_name_the_item(engine):
    tokenizer = copy.deepcopy(engine.tokenizer)
    tokenizer.add_tokens(["<image>"])
    asked = [{"role": "user", "content": "What is <image>?"}]
    given = {"messages": tuple(asked), "benchmark": "mine", "item": "i7"}
    grown = HfEngine(engine.model, tokenizer, engine.family)
    with pytest.raises(DataError, match="^mine, item i7: the prompt holds <image>, for which this model has no embedd"):
        grown.generate([*REQUESTS[:2], Request(**given)])
    with pytest.raises(DataError, match="^the prompt holds <image>"):
        grown.loglikelihood([(Request(text="<image>"), "4.")])
    tokenizer.chat_template = "{{ raise_exception('no') }}"
    with pytest.raises(DataError, match=r"^mine, item i7: .*refuses the conversation \(no\)"):
        HfEngine(engine.model, tokenizer, engine.family).generate([Request(**given)])


def test_memory_bounds_a_batch(engine, monkeypatch):
    monkeypatch.setattr("pipeline.engines.hf._free_bytes", lambda device: 1.0)
    assert engine._fitting([Row([1] * 10, 8)] * 5) == 1


# ---------------------------------------------------------------- decoding alike, and as asked


def test_what_a_generation_config_says_of_sampling_changes_no_answer(tmp_path):
    folder = shutil.copytree(tiny_models.taught("qwen3"), tmp_path / "changed")
    config = json.loads((folder / "generation_config.json").read_text())
    config |= {
        "do_sample": True,
        "temperature": 2.0,
        "top_k": 3,
        "top_p": 0.5,
        "repetition_penalty": 1.9,
        "num_beams": 2,
    }
    (folder / "generation_config.json").write_text(json.dumps(config))
    plain = open_engine(str(tiny_models.taught("qwen3")), dtype="float32").generate(REQUESTS)
    assert open_engine(str(folder), dtype="float32").generate(REQUESTS) == plain


def test_a_repetition_penalty_is_that_of_plain_generate():
    folder = str(tiny_models.taught("qwen3"))
    engine = open_engine(folder, dtype="float32")
    requests = [request.model_copy(update={"repetition_penalty": 1.3, "max_tokens": 12}) for request in REQUESTS[:4]]
    answers = [answer[0].text for answer in engine.generate(requests)]
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    for request, answer in zip(requests, answers, strict=True):
        ids = tokenizer(
            render(tokenizer, engine.family, list(request.messages or ()), generation=True),
            add_special_tokens=False, return_tensors="pt",
        )  # fmt: skip
        out = model.generate(**ids, max_new_tokens=12, do_sample=False, repetition_penalty=1.3)
        assert answer == tokenizer.decode(out[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)
    assert answers != [answer[0].text for answer in engine.generate(REQUESTS[:4])]


@pytest.mark.parametrize(
    ("settings", "kept"),
    [({}, 4), ({"top_k": 2}, 2), ({"min_p": 0.2}, 3), ({"top_p": 0.65}, 2), ({"top_k": 2, "top_p": 0.55}, 1)],
)
def test_draws_fall_where_transformers_would_let_them(settings, kept):
    from transformers.generation import MinPLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    logits = torch.log(torch.tensor([[0.2, 0.05, 0.6, 0.15]]) ** 0.7)  # at temperature 0.7: shares of 0.6, 0.2, ...
    rows = [Row([0], 1, temperature=0.7, random=Draw(draw), **settings) for draw in torch.linspace(0, 0.9999, 400)]
    drawn = torch.bincount(sample(logits.expand(len(rows), -1), rows), minlength=4) / len(rows)
    wanted = logits / 0.7
    for name, warper in (("top_k", TopKLogitsWarper), ("top_p", TopPLogitsWarper), ("min_p", MinPLogitsWarper)):
        wanted = warper(settings[name])(None, wanted) if name in settings else wanted
    shares = torch.softmax(wanted, -1)[0]
    assert (shares > 0).sum() == kept and drawn.tolist() == pytest.approx(shares.tolist(), abs=0.005)


@pytest.mark.parametrize(
    "settings",
    [{}, {"top_p": 0.9}, {"top_k": 3}, {"top_k": 30}, {"min_p": 0.05}, {"min_p": 0.4}, {"top_k": 20, "top_p": 0.7}],
)
def test_looking_at_the_likeliest_tokens_first_changes_no_draw(settings, monkeypatch):
    random = torch.Generator().manual_seed(0)
    logits = (torch.randn(300, 50, generator=random) * 2).bfloat16().float()  # with ties
    draws = torch.rand(300, generator=random).tolist()

    def drawn(head):
        monkeypatch.setattr("pipeline.engines._decode.HEAD", head)
        return sample(logits, [Row([0], 1, temperature=1.3, random=Draw(draw), **settings) for draw in draws])

    assert torch.equal(drawn(8), drawn(50)) and len(set(drawn(8).tolist())) > 5


def test_a_further_end_ends_an_answer_as_the_end_of_turn_does():
    folder = str(tiny_models.taught("qwen3"))
    engine = open_engine(folder, dtype="float32")
    request = next(r for r, [answer] in zip(REQUESTS, engine.generate(REQUESTS), strict=True) if answer.tokens > 2)
    [[whole]] = engine.generate([request])
    second = engine.tokenizer(whole.text, add_special_tokens=False)["input_ids"][1]
    [[cut]] = open_engine(folder, dtype="float32", further_ends=(second,)).generate([request])
    assert cut.stopped and cut.tokens < whole.tokens and whole.text.startswith(cut.text)
