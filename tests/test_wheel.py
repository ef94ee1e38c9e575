"""A built wheel carries recipes and evals, and finds them."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_a_wheel_carries_recipes_and_benchmarks_and_finds_them(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if name.startswith(("tests/", "scripts/", "recipes/", "evals/"))]
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    code = (
        "import pipeline, sys; from pipeline import benchmarks, recipe, catalogue, model_catalogue as models\n"
        "assert pipeline.__file__.startswith(sys.argv[1]), pipeline.__file__\n"
        "print(len(benchmarks.names()), len(recipe.recipe_names()), len(catalogue.names()), len(models.entries()))\n"
        "[benchmarks.load_benchmark(name) for name in benchmarks.names()]\n"
    )
    place = str(tmp_path / "installed")
    done = subprocess.run(
        [sys.executable, "-c", code, place],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": place}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    from pipeline import benchmarks, catalogue, model_catalogue, recipe

    shelves = (benchmarks.names(), recipe.recipe_names(), catalogue.names(), model_catalogue.entries())
    expected = [len(shelf) for shelf in shelves]
    assert [int(word) for word in done.stdout.split()] == expected
