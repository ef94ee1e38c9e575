"""The tools: what is asked, what is done, and a run's beginning and end."""

# Annotations are not postponed here: the SDK reads them off functions that are made where it is imported.

from typing import Any

from pipeline import asking, models
from pipeline.commands import options
from pipeline.errors import InputError
from pipeline.mcp.calls import asked, done, in_thread, proposal, told, waited
from pipeline.owner.host import Host
from pipeline.owner.reading import proposal_of
from pipeline.types import Budget


def add_questions(server: Any, host: Host) -> None:
    """What is answered at once, without anybody becoming the owner."""
    from mcp_types import ToolAnnotations

    tool = server.tool(annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False))

    @tool
    async def brief() -> dict[str, Any]:
        """The task: base model, benchmark, recipe to start from, search space, data cards with sample rows, budget."""
        return await asked(host, "brief")

    @tool
    async def catalogue() -> dict[str, Any]:
        """The data sources that a recipe may mix: size, lengths and sample rows of each."""
        return {"sources": await asked(host, "catalogue")}

    @tool
    async def space() -> dict[str, Any]:
        """What a proposal may change: dotted path -> kind, bounds or choices. `seed` and `stages` may be given, too."""
        return await asked(host, "space")

    @tool
    async def propose(
        changes: dict[str, Any], fidelity: float = 1.0, continues: str | None = None, rationale: str = ""
    ) -> dict[str, Any]:
        """Check a proposal and say what it would cost, without running it: ok, reason, tokens, seconds, fits."""
        given = proposal(changes, fidelity, continues, rationale)
        return await asked(host, "propose", proposal=given)

    @tool
    async def trials() -> dict[str, Any]:
        """All trials in the order of their start: state, search score, fidelity, changes, error."""
        return {"trials": await asked(host, "trials")}

    @tool
    async def trial(trial: str) -> dict[str, Any]:
        """One trial in full: its recipe, verdicts, score, cost and labels."""
        return await asked(host, "trial", trial=trial)

    @tool
    async def compare(a: str, b: str) -> dict[str, Any]:
        """Trial `a` less trial `b`, paired by item: the difference, its p value, whether it is beyond noise."""
        return await asked(host, "compare", a=a, b=b)

    @tool
    async def remaining() -> dict[str, Any]:
        """What is left of the budget: seconds, trials, dollars (null: no limit)."""
        return await asked(host, "remaining")

    @tool
    async def report() -> dict[str, Any]:
        """The run's report so far; after `finish` with final scores and the fraction of the human gain regained."""
        return await asked(host, "report")


def add_doors(server: Any, host: Host) -> None:
    """What changes the run, or waits for it."""
    from mcp.server.mcpserver import Context

    @server.tool()
    async def start(
        changes: dict[str, Any], fidelity: float = 1.0, continues: str | None = None, rationale: str = ""
    ) -> dict[str, Any]:
        """Start a trial and return at once; `wait` brings its end. Refused if no slot is free."""
        wanted = proposal_of(proposal(changes, fidelity, continues, rationale))
        return await done(host, lambda client: told(client.start(wanted), client))

    @server.tool()
    async def wait(trial: str | None = None, timeout_seconds: float = 60.0) -> dict[str, Any]:
        """The next trial that ends, or the one named; `trial` is null if the time passes or none is running."""
        return await done(host, lambda client: waited(client, trial, timeout_seconds))

    @server.tool()
    async def step(
        ctx: Context,
        changes: dict[str, Any],
        fidelity: float = 1.0,
        continues: str | None = None,
        rationale: str = "",
    ) -> dict[str, Any]:
        """Train and score one proposal, as soon as a slot is free, and return the trial. Minutes; reports progress."""
        wanted = proposal_of(proposal(changes, fidelity, continues, rationale))
        return await done(host, lambda client: told(client.step(wanted), client), ctx)

    @server.tool()
    async def submit(ctx: Context, path: str, rationale: str = "") -> dict[str, Any]:
        """Score a checkpoint made outside (a folder: a whole model, or an adapter on the base) like any trial."""
        return await done(host, lambda client: told(client.submit(path, rationale, "mcp"), client), ctx)

    @server.tool()
    async def finish(ctx: Context) -> dict[str, Any]:
        """End the run: choose the best trial, score it on the final split, write final_model/. Returns the report."""
        if await asked(host, "is_finished"):
            return await asked(host, "report")
        return await done(host, lambda client: client.finish(), ctx)


def add_life(server: Any, host: Host, executor: str) -> None:
    from mcp.server.mcpserver import Context

    @server.tool(name="open")
    async def open_run(
        ctx: Context,
        model: str,
        benchmark: str,
        budget: str,
        instruct: str | None = None,
        trials: int | None = None,
        seed: int = 0,
    ) -> dict[str, Any]:
        """Open a run in this server's folder. Budget: 90s, 15m, 10h. Its clock runs from here to `finish`."""

        def work() -> dict[str, Any]:
            names = options.benchmarks([benchmark], model)
            if len(names) != 1:
                raise InputError(f"benchmark {benchmark}: a run has one benchmark: name one")
            limits = Budget(seconds=options.seconds(budget, "budget"), trials=trials)
            wanted = asking.Asked(
                model=model, benchmark=names[0], budget=limits, instruct=instruct, agent=None, seed=seed,
                executor=executor,
            )  # fmt: skip
            options.new_folder(host.folder, "")
            client = host.open(asking.to_request(wanted, models.resolve))
            return {"folder": str(host.folder), "remaining": client.remaining().model_dump()}

        return await in_thread(work)
