"""What loading a model does once per process, done at import: a worker forked from a warm server then has it already.

No torch operation runs here (a fork after one can hang).
"""

from __future__ import annotations

import contextlib
import importlib

from transformers.conversion_mapping import get_checkpoint_conversion_mapping

from pipeline import plugins


def _model_modules() -> list[str]:
    """transformers' modules of the families' architectures, which it imports on use."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    wanted = {name for of in plugins.names("families") for name in plugins.load("families", of).FAMILY.architectures}
    kinds = [kind for kind, name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items() if name in wanted]
    return [f"transformers.models.{kind}.modeling_{kind}" for kind in kinds]


for _module in _model_modules():
    with contextlib.suppress(ImportError):  # a kind without a folder of its own: imported on use, as ever
        importlib.import_module(_module)
get_checkpoint_conversion_mapping("")  # a thousand regular expressions
