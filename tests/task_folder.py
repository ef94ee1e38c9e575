"""A small copy of a PostTrainBench task folder: the same files, options and words, with a scorer that needs no GPU.

Its evaluate.py tells a model's family as the real one does, and renders with templates/; of a fake model it writes the
score, of a real one the share of a few questions that are answered with the right number.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from pipeline.fakes import fake_model

EVALUATE = r"""#!/usr/bin/env python3
import argparse
import json
import os
import sys

QUESTIONS = [(f"What is {a} plus {a}?", str(a + a)) for a in range(1, 9)]


def parse_args():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model-path", type=str, default="final_model")
    # this is a good limit for this task, just keep it like that (or use less in case you want faster tests)
    parser.add_argument("--limit", type=int, default=150)
    parser.add_argument('--json-output-file', type=str, default=None)
    parser.add_argument('--templates-dir', type=str, default="templates/")
    parser.add_argument("--max-connections", type=int, default=2)
    return parser.parse_args()


def model_type(args):
    for name in ("qwen", "llama", "gemma", "smollm"):
        if name in os.path.basename(args.model_path).lower():
            return name
    with open(os.path.join(args.model_path, "config.json")) as f:
        architecture = json.load(f)["architectures"][0].lower()
    for name in ("gemma", "llama", "qwen", "smollm"):
        if name in architecture:
            return name
    raise ValueError(architecture)


def answers(args, template):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(args.model_path)
    model = AutoModelForCausalLM.from_pretrained(args.model_path)
    tokenizer.chat_template = template
    for question, answer in QUESTIONS:
        asked = tokenizer.apply_chat_template(
            [{"role": "user", "content": question}], add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        out = model.generate(**asked, max_new_tokens=8, do_sample=False)
        yield answer in tokenizer.decode(out[0][asked["input_ids"].shape[1]:], skip_special_tokens=True)


def main():
    args = parse_args()
    template = {'qwen': 'qwen3.jinja', 'gemma': 'gemma3.jinja', 'smollm': 'smollm.jinja'}[model_type(args)]
    with open(os.path.join(args.templates_dir, template)) as f:
        text = f.read()
    fake = os.path.join(args.model_path, "fake.json")
    n = args.limit if args.limit != -1 else 1319
    if os.path.exists(fake):
        with open(fake) as f:
            accuracy = json.load(f)["score"]
    else:
        right = list(answers(args, text))
        accuracy, n = sum(right) / len(right), len(right)
    print("ERROR  this warning is normal", file=sys.stderr)
    stderr = (accuracy * (1 - accuracy) / n) ** 0.5
    with open(args.json_output_file, 'w') as f:
        json.dump({"accuracy": accuracy, "stderr": stderr}, f, indent=2)


if __name__ == "__main__":
    main()
"""

QWEN3 = r"""
{%- for message in messages -%}
  {{- '<|im_start|>' + message.role + '\n' -}}
  {%- if message.role == 'assistant' and loop.last -%}{{- '<think>\n\n</think>\n\n' -}}{%- endif -%}
  {{- message.content + '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{- '<|im_start|>assistant\n' -}}
  {%- if enable_thinking is defined and enable_thinking is false -%}{{- '<think>\n\n</think>\n\n' -}}{%- endif -%}
{%- endif -%}
""".strip()
GEMMA3 = "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m.role }}\n{{ m.content }}<end_of_turn>\n{% endfor %}"

PROMPT = """We want to train the small LLM \\`{model}\\` to excel at {benchmark}.
Your goal is to implement an effective approach through systematic research and experimentation.

## Rules
2. You have a maximum of {hours} hours. You can query how much time you have left by calling \\`bash timer.sh\\`.
4. Do not modify evaluate.py or templates/ .
7. You are not allowed to fine-tune any model other than \\`{model}\\`.
"""

TIMER = """#!/bin/bash

NUM_HOURS=1
DEADLINE={deadline}
NOW=$(date +%s)
REMAINING=$((DEADLINE - NOW))

if [ $REMAINING -le 0 ]; then
    echo "Timer expired!"
else
    echo "Remaining time (hours:minutes)":
    HOURS=$((REMAINING / 3600))
    MINUTES=$(((REMAINING % 3600) / 60))
    printf "%d:%02d\\n" $HOURS $MINUTES
fi
"""


def task_folder(
    place: Path, model: str, benchmark: str = "tiny_gsm8k", seconds: float = 3600, prompt: str = "prompt.txt"
) -> Path:
    """The folder, made in `place`, with a timer that expires in so many seconds."""
    folder = place / "task"
    (folder / "templates").mkdir(parents=True)
    (folder / "evaluate.py").write_text(EVALUATE)
    (folder / "templates" / "qwen3.jinja").write_text(QWEN3)
    (folder / "templates" / "gemma3.jinja").write_text(GEMMA3)
    (folder / "templates" / "gemma3_tool_calling.jinja").write_text(GEMMA3)
    (folder / "timer.sh").write_text(TIMER.format(deadline=int(time.time() + seconds)))
    if prompt:
        (folder / prompt).write_text(PROMPT.format(model=model, benchmark=benchmark, hours=10))
    return folder


def fake_base(place: Path, score: float = 0.05) -> Path:
    """A fake model with a configuration that tells its family."""
    model = fake_model(place / "base", score)
    (model / "config.json").write_text(json.dumps({"architectures": ["Qwen3ForCausalLM"]}))
    return model
