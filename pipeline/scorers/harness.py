"""Scoring with lm-eval: it owns prompts and extraction, our engine generates. The only file that calls lm-eval."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lm_eval import evaluator
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

from pipeline.contracts import Engine
from pipeline.errors import InputError
from pipeline.repeats import merged
from pipeline.scorers import _unread
from pipeline.set_items import utils
from pipeline.types import Benchmark, Completion, Request

Item = dict[str, Any]
FEW_SHOT = "_few_shot"  # the ending of a benchmark's task in raw text form


def score(
    engine: Engine, benchmark: Benchmark, items: Sequence[Item], few_shot: int = 0, shots: Sequence[Item] = ()
) -> list[Item]:
    """One result per item, in their order: {"id", "strict", "lenient", "response", "stopped", "tokens", "ending"}.

    Several answers to an item are drawn as `benchmark.decoding` says, each is scored, and merged (`repeats.merged`).
    An answer that the task's reader raises on counts as 0, and its result has the reason as `unread`.
    If the benchmark is `reshuffled` each of them is to the item as the task's `reshuffled(item, number)` has it.
    Without `few_shot` the question is one chat turn; with it the task's raw text form, after that many of `shots`.
    Raises InputError if the benchmark's folder lacks the task or the task does not return strict and lenient.
    """
    if not items:
        raise InputError(f"benchmark '{benchmark.name}': no items to score: ask for at least 1")
    if len(shots) < few_shot:
        raise InputError(f"benchmark '{benchmark.name}': {few_shot} examples are asked for, {len(shots)} there")
    logging.getLogger("lm_eval").setLevel(logging.ERROR)  # it warns of what is meant to be so here
    if benchmark.reshuffled and benchmark.decoding.repeats > 1:
        return _reshuffled(engine, benchmark, items, few_shot, shots)
    task = _load(benchmark, items, few_shot, shots)
    adapter = EngineLM(engine, benchmark, items)
    answers = [_scored(benchmark, task, adapter, few_shot)]
    while len(answers) < max(map(len, adapter.completions.values())):
        adapter.copy = len(answers)
        answers.append(_scored(benchmark, task, adapter, few_shot))
    return [
        merged([found[number] for found in answers[: len(adapter.completions[number])]]) for number in range(len(items))
    ]


def _reshuffled(
    engine: Engine, benchmark: Benchmark, items: Sequence[Item], few_shot: int, shots: Sequence[Item]
) -> list[Item]:
    """As `score`, each answer with its `shuffle`: the number under which `reshuffled` gives the item it is to."""
    change = getattr(utils(benchmark.folder), "reshuffled", None)
    if change is None:
        path = Path(benchmark.folder) / "utils.py"
        raise InputError(f"{path}: has no reshuffled(item, number): a benchmark that is `reshuffled` needs it")
    found: list[list[Item]] = [[] for _ in items]
    for number in range(benchmark.decoding.repeats):
        changed, examples = [change(item, number) for item in items], [change(shot, number) for shot in shots]
        adapter = EngineLM(engine, benchmark, changed, number)
        rows = _scored(benchmark, _load(benchmark, changed, few_shot, examples), adapter, few_shot)
        for place, row in enumerate(rows):
            if adapter.completions[place]:  # recorded answers may be fewer
                found[place].append({**row, "shuffle": number})
    return [merged(answers) for answers in found]


def _scored(benchmark: Benchmark, task: Any, adapter: EngineLM, few_shot: int) -> list[Item]:
    """One answer to each item, the adapter's `copy`, as lm-eval takes it apart and scores it."""
    with _unread.guarded(task) as reasons:
        found = evaluator.evaluate(
            lm=adapter,
            task_dict={"tasks": {task.task_name: task}},
            bootstrap_iters=0,  # errors of the mean are computed from the per-item results
            apply_chat_template=not few_shot,
            log_samples=True,
        )
    _unread.tell(benchmark.task, reasons)
    samples = sorted(found["samples"][task.task_name], key=lambda sample: sample["doc_id"])
    results = [_result(benchmark, sample, adapter.answer(sample["doc_id"])) for sample in samples]
    return [{**each, "unread": reasons[each["id"]]} if each["id"] in reasons else each for each in results]


def _load(benchmark: Benchmark, items: Sequence[Item], few_shot: int, shots: Sequence[Item]) -> Any:
    name = benchmark.task + (FEW_SHOT if few_shot else "")
    path = Path(benchmark.folder) / f"{name}.yaml"
    if not path.is_file():
        raise InputError(f"benchmark '{benchmark.name}': {path} is missing: add the lm-eval task {name} there")
    # Loaded by its path: lm-eval would take every YAML of an included folder for a task, and reading its own
    # 14,000 files takes 8 s.
    shown = [shot["id"] for shot in shots[:few_shot]]
    is_shown = any(item["id"] in shown for item in items) and len(shots) > few_shot
    examples = list(shots[: few_shot + is_shown])
    manager = TaskManager(include_defaults=False, metadata={"items": list(items), "shots": examples})
    task = manager.load([str(path)])["tasks"][name]
    task.set_config("num_fewshot", few_shot)
    if is_shown:  # lm-eval leaves an item out of its own examples where both are said to come from one split
        task.fewshot_cfg.split = task.config.test_split
    return task


def _result(benchmark: Benchmark, sample: Item, completion: Completion) -> Item:
    if "strict" not in sample or "lenient" not in sample:
        raise InputError(f"task '{benchmark.task}': process_results must return `strict` and `lenient`")
    return {
        "id": sample["doc"]["id"],
        "strict": float(sample["strict"]),
        "lenient": float(sample["lenient"]),
        "response": completion.text,
        "stopped": completion.stopped,
        "tokens": completion.tokens,
        "ending": completion.ending,
    }


class EngineLM(LM):
    """Our engine as lm-eval sees it. Chats reach the engine as messages: in between they travel as JSON text.

    An item that has `messages` is a chat of several turns, which a task's one text cannot say: these are sent instead.
    With a `number` of an answer only this one of several is asked for.
    """

    CHAT = "\x00chat:"
    tokenizer_name = "posttrain"

    def __init__(self, engine: Engine, benchmark: Benchmark, items: Sequence[Item], number: int | None = None) -> None:
        super().__init__()
        self.engine, self.benchmark, self.items, self.number = engine, benchmark, items, number
        self.completions: dict[int, list[Completion]] = {}  # by lm-eval's document number
        self.copy = 0  # which of an item's answers lm-eval is given

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The messages as text that `_request` takes apart again."""
        return self.CHAT + json.dumps(chat_history)

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """One answer per request. All are generated when the first ones are asked for, and kept in `completions`."""
        if not self.completions:
            asked = [self._request(request.args[0], request.args[1], request.doc_id) for request in requests]
            numbers = [number for request in requests if (number := request.doc_id) is not None]
            self.completions = dict(zip(numbers, self.engine.generate(asked), strict=True))
        return [self.answer(request.doc_id or 0).text for request in requests]

    def answer(self, number: int) -> Completion:
        """The answer in turn to a document; its first one where it has no more (recorded answers may be uneven)."""
        completions = self.completions[number] or [Completion(text="", stopped=None, tokens=0)]
        return completions[self.copy if self.copy < len(completions) else 0]

    def _request(self, context: str, settings: dict[str, Any], number: int | None = None) -> Request:
        until, item = settings["until"], self.items[number] if number is not None else {}
        form: dict[str, Any] = {"text": context}
        if context.startswith(self.CHAT):
            messages = item.get("messages") or json.loads(context[len(self.CHAT) :])
            form = {"messages": messages, "tools": tuple(item.get("tools") or ())}
        return Request(
            **form,
            until=(until,) if isinstance(until, str) else tuple(until),
            max_tokens=self.benchmark.max_tokens,
            **self.benchmark.decoding.asked() | ({} if self.number is None else {"n": 1, "copy_number": self.number}),
            benchmark=self.benchmark.name,
            item=str(item.get("id", "")),
            index=number if number is not None else -1,
        )

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Of each continuation after its context, by engines that can tell."""
        pairs = [(self._request(context, {"until": []}), ending) for context, ending in (r.args for r in requests)]
        return self.engine.loglikelihood(pairs)  # type: ignore[attr-defined]

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        """Not offered: no task here scores whole texts."""
        raise NotImplementedError("this adapter generates and compares continuations; it scores no whole texts")
