"""The resources: recipes as YAML, the report as Markdown."""

# Annotations are not postponed here, as in `tools`.

from collections.abc import Callable
from typing import Any

from pipeline import recipe
from pipeline.errors import InputError, PosttrainError
from pipeline.mcp.calls import ask, threaded
from pipeline.owner.host import Host
from pipeline.types import Trial


def add_resources(server: Any, host: Host) -> None:
    """The shipped recipes, the run's own, its trials' and the report."""
    from mcp.server.mcpserver.exceptions import ResourceError

    async def told(work: Callable[[], Any]) -> str:
        try:
            return str(await threaded(work))
        except PosttrainError as error:
            raise ResourceError(str(error)) from None

    @server.resource("posttrain://report", mime_type="text/markdown")
    async def report_text() -> str:
        """The run's report in Markdown."""
        return await told(lambda: ask(host.look(), "report_text"))

    @server.resource("posttrain://recipe", mime_type="application/yaml")
    async def run_recipe() -> str:
        """The recipe that the run starts from; proposals are patches on it."""
        return await told(lambda: recipe.dump_recipe(host.look().brief().recipe))

    @server.resource("posttrain://recipes", mime_type="text/plain")
    async def names() -> str:
        """The names of the shipped recipes."""
        return await told(lambda: "\n".join(recipe.recipe_names()))

    @server.resource("posttrain://recipes/{name}", mime_type="application/yaml")
    async def shipped_recipe(name: str) -> str:
        """A shipped recipe."""
        return await told(lambda: recipe.dump_recipe(recipe.load_recipe(_shipped(name))))

    @server.resource("posttrain://trials/{trial}/recipe", mime_type="application/yaml")
    async def trial_recipe(trial: str) -> str:
        """The whole recipe of a trial."""
        return await told(lambda: _recipe_of(host.look().trial(trial)))


def _shipped(name: str) -> str:
    if name not in recipe.recipe_names():  # a path is none
        raise InputError(f"unknown recipe '{name}': known are {', '.join(recipe.recipe_names())}")
    return name


def _recipe_of(trial: Trial) -> str:
    if trial.recipe is None:
        raise InputError(f"trial {trial.id} is {trial.kind}, {trial.state}, and has no recipe")
    return recipe.dump_recipe(trial.recipe)
