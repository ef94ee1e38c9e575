"""Only engines, trainers, scorers and the lab import heavy libraries, so that commands start in an instant."""

from __future__ import annotations

import subprocess
import sys

from pipeline.paths import PACKAGE

HEAVY = ("torch", "transformers", "peft", "trl", "datasets", "lm_eval", "accelerate", "ray")
FOLDERS_THAT_MAY = ("engines", "trainers", "scorers", "lab")


def test_modules_outside_the_heavy_folders_import_no_heavy_library():
    modules = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] not in FOLDERS_THAT_MAY and parts[-1] not in ("__init__", "__main__"):
            modules.append(".".join(("pipeline", *parts)))
    code = (
        f"import importlib, sys\nfor name in {modules}:\n    importlib.import_module(name)\n"
        f"    found = sorted(set({HEAVY}) & set(sys.modules))\n    assert not found, (name, found)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr.strip().splitlines()[-1]
