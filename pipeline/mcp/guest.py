"""The MCP server in an agent's working folder: `python -m pipeline.mcp.guest FOLDER`, FOLDER with its session.json.

The same tools as `posttrain mcp`, through the doors that are the agent's: it opens and finishes nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.errors import InputError
from pipeline.mcp.serving import create, require
from pipeline.owner.client import Client
from pipeline.owner.host import Host
from pipeline.paths import read_json

SESSION_FILE = "session.json"
CLOSED = ("open", "finish", "report")
INSTRUCTIONS = """Search for a post-training recipe of a small language model within a budget: PROMPT.md has the rules.
`brief` and `space` say what there is, `propose` checks and prices a proposal, `step` trains and scores one (minutes),
or `start` it and `wait`. A proposal is a patch: {"stages.0.params.learning_rate": 2e-4}; `fidelity` below 1 trains a
share of the full length. Differences below the noise floor mean nothing (`compare`). Keep an eye on `remaining`."""


class Guest(Host):
    """A run that lives elsewhere, and is reached with an agent's own token."""

    def look(self) -> Client:
        """See `Host`."""
        return self.client()

    def client(self) -> Client:
        """See `Host`. Raises InputError if no run is told."""
        try:
            told = read_json(self.folder / SESSION_FILE)
            return Client(self.folder, str(told["address"]), str(told["token"]))
        except (OSError, KeyError, TypeError):
            raise InputError(f"{self.folder}: no run is told here ({SESSION_FILE}): its search may be over") from None


def main(folder: Path) -> None:
    """Serve on stdin and stdout until they are closed."""
    import anyio

    require()
    server = create(Guest(folder), instructions=INSTRUCTIONS, without=CLOSED)
    anyio.run(server.run_stdio_async)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
