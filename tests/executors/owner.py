"""An owner process for tests: starts one lingering job and waits. Arguments: executor, folder, module to warm."""

import importlib
import sys
from pathlib import Path

from pipeline.types import Job

name, folder, warm = sys.argv[1:]
module = importlib.import_module(f"pipeline.executors.{name}")
executor = module.create(1, 1, warm=tuple(filter(None, [warm]))) if name == "local" else module.create(1, 1)
executor.start(Job(id="linger", call="tests.executors.jobs.linger", folder=folder))
(Path(folder) / "started").touch()
executor.wait()
