"""What the libraries are told through the environment."""

import os

from pipeline import libraries
from pipeline.executors._child import environment


def test_what_the_user_has_set_stays_and_the_rest_is_set(monkeypatch):
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    libraries.settle()
    assert os.environ["GOMP_SPINCOUNT"] == "7"
    assert os.environ["TQDM_DISABLE"] == "1"


def test_a_new_worker_is_told_the_same(monkeypatch):
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "0")
    told = environment(threads=1)
    assert told["HF_HUB_DISABLE_TELEMETRY"] == "0"
    assert told["GOMP_SPINCOUNT"] == os.environ.get("GOMP_SPINCOUNT", libraries.SETTINGS["GOMP_SPINCOUNT"])
