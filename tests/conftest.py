"""All tests run offline, without progress bars, and with a cache folder of their own (or POSTTRAIN_TEST_HOME's)."""

from __future__ import annotations

import os
import tempfile

import pytest
from hypothesis import HealthCheck, settings

from pipeline import libraries
from tests import real_parts

# at import: before any test module can import a library that reads these once
os.environ[real_parts.FOLDER] = str(real_parts.root())  # in the user's cache folder, not in the session's own
os.environ["HF_HUB_OFFLINE"] = "1"
libraries.settle()
_temporary = None
if os.environ.get("POSTTRAIN_TEST_HOME"):
    os.environ["POSTTRAIN_HOME"] = os.environ["POSTTRAIN_TEST_HOME"]
else:
    _temporary = tempfile.TemporaryDirectory(prefix="posttrain-test-home-")
    os.environ["POSTTRAIN_HOME"] = _temporary.name


# time limits of single examples would fail on a machine that is busy with something else
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose real parts have not been fetched."""
    wanted = [name for marker in item.iter_markers("real") for name in marker.args]
    missing = [name for name in wanted if not real_parts.is_here(name)]
    if missing:
        pytest.skip(f"not fetched yet: scripts/real_parts {' '.join(missing)}")


@pytest.fixture
def command(capfd):
    """Calls `posttrain` in this process; returns exit code, stdout and stderr."""
    from pipeline import cli

    def call(*arguments):
        code = cli.main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return code, out, err

    return call


def pytest_unconfigure() -> None:
    """Remove the session's cache folder."""
    if _temporary is not None:
        _temporary.cleanup()
