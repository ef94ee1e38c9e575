"""Small jobs for the executors' tests: no heavy import, each says in its folder what it saw."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path


def hello(folder: Path) -> None:
    print("hello")
    print("to the log", file=sys.stderr)
    seen = {"threads": os.environ["OMP_NUM_THREADS"], "pid": os.getpid(), "json": "json" in sys.modules}
    (folder / "outcome.json").write_text(json.dumps(seen))


def span(folder: Path) -> None:
    began = time.monotonic()
    time.sleep(0.4)
    (folder / "outcome.json").write_text(json.dumps([began, time.monotonic()]))


def boom(folder: Path) -> None:
    raise ValueError(f"no luck in {folder.name}")


def leave(folder: Path) -> None:
    raise SystemExit(7)


def linger(folder: Path) -> None:
    """Sleeps, with a grandchild that sleeps too; both pids are told."""
    print("begun", flush=True)
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (folder / "pids.tmp").write_text(json.dumps([os.getpid(), grandchild.pid]))
    (folder / "pids.tmp").rename(folder / "pids.json")
    time.sleep(60)


def torch_threads(folder: Path) -> None:
    import torch

    (folder / "outcome.json").write_text(json.dumps(torch.get_num_threads()))
    torch.ones(256, 256) @ torch.ones(256, 256)
