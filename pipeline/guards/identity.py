"""A submitted checkpoint is neither the run's base nor its instruct sibling, however their files are cut or typed.

What it detects: equal numbers in all tensors (`pipeline.tensors`). A copy that was changed a little, or rounded, or an
adapter that leads from one to the other is not seen: until a guard looks at lineage, submissions stay `unverified`.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.tensors import same_weights
from pipeline.types import Verdict

_WHAT = {"base": "the run's base itself", "instruct": "the instruct model itself, which the run is measured against"}


def on_submission(model: Path, references: dict[str, Path]) -> Verdict:
    """Whether the whole model in `model` has other weights than `references` (`base`, `instruct`); adapters pass."""
    if (model / "adapter_config.json").is_file():
        return Verdict(guard="identity", ok=True)
    for role, folder in references.items():
        if folder.is_dir() and not (folder / "adapter_config.json").is_file() and same_weights(model, folder):
            return Verdict(guard="identity", ok=False, reason=f"its weights are {_WHAT[role]}: submit a trained model")
    return Verdict(guard="identity", ok=True)
