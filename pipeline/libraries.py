"""What the libraries below are told through the environment, in this process and in all that it starts.

To be said before torch is imported: OpenMP reads its variables when it is loaded.
"""

from __future__ import annotations

import os

SETTINGS = {
    # no progress bars, no telemetry
    "TQDM_DISABLE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    # How long an OpenMP thread spins for the others before it sleeps. GNU's default of 300,000 rounds makes two threads
    # on cores that something else uses, too, 20 to 40 times slower; 2,000 costs some per cent alone (docs/lab.md).
    "GOMP_SPINCOUNT": "2000",
}


def settle() -> None:
    """Set what the user has not set."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
