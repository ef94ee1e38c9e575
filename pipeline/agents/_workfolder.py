"""A command-line agent's working folder: the prompt, the client, configurations of MCP clients, catalogue and items.

It is the agent's to write in, so whatever is put there again for a later session is put there carefully
(`cage.folders`); the agent can spoil nobody's files but its own.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.agents import _command_client, _command_prompt
from pipeline.cage.folders import adopt, make, put
from pipeline.paths import PACKAGE, plain
from pipeline.types import Brief

DOORS = ".posttrain"  # the client and what it needs
BASE_INSIDE = Path("/base_model")  # where the base model lies in the sandbox


class WorkFolder:
    """`work` and `home` of an agent, below `place`; `uid` is whose they are."""

    def __init__(self, place: Path, uid: int) -> None:
        self.uid = uid
        place.mkdir(parents=True, exist_ok=True)
        self.work, self.home = make(place.absolute() / "work", uid), make(place.absolute() / "home", uid)
        adopt(self.work, uid)
        adopt(self.home, uid)

    def fill(self, brief: Brief, client: Any) -> bool:
        """What stays the same for all sessions; whether there are search items."""
        self._json("brief.json", plain(brief.model_dump(exclude={"folder", "options"})))
        self._json("space.json", plain(brief.space))
        for card in brief.cards:
            self._json(f"catalogue/{card.name}.json", plain(card))
        items = client.ask("search_items")
        if items:
            self._put("items/search.jsonl", "".join(json.dumps(item) + "\n" for item in items))
        return bool(items)

    def open_doors(self, address: str, token: str) -> None:
        """The client, bound to this owner's socket, and the configurations of MCP clients."""
        server = mcp_server()
        self._put(f"{DOORS}/client.py", Path(_command_client.__file__).read_text())
        self._json(f"{DOORS}/session.json", {"address": address, "token": token, "mcp": server}, mode=0o600)
        parts = [os.path.realpath(sys.executable), "-I", str(self.work / DOORS / "client.py")]
        client = f"exec {shlex.join(parts)}"
        self._put("posttrain", f'#!/bin/sh\n{client} "$@"\n', mode=0o755)
        self._put("remaining", f'#!/bin/sh\n{client} remaining "$@"\n', mode=0o755)
        for name, text in configurations(self.work / "posttrain", server is not None).items():
            root = self.home if name.startswith("~/") else self.work
            if not os.path.lexists(root / name.removeprefix("~/")):  # it may have added to it
                put(root, name.removeprefix("~/"), text, self.uid)

    def tell(self, text: str) -> Path:
        """Write PROMPT.md."""
        self._put("PROMPT.md", text)
        return self.work / "PROMPT.md"

    def prompt(self, again: bool) -> str:
        """What a program is asked to do, in a sentence."""
        return _command_prompt.ASK_AGAIN if again else _command_prompt.ASK

    def _json(self, name: str, value: Any, mode: int = 0o644) -> None:
        self._put(name, json.dumps(value, indent=2) + "\n", mode)

    def _put(self, name: str, text: str, mode: int = 0o644) -> None:
        put(self.work, name, text, self.uid, mode)


def mcp_server() -> dict[str, Any] | None:
    """How the client starts the MCP server; None where the SDK is not installed."""
    if importlib.util.find_spec("mcp") is None:
        return None
    return {"argv": [sys.executable, "-m", "pipeline.mcp.guest"], "env": {"PYTHONPATH": str(PACKAGE.parent)}}


def configurations(client: Path, has_mcp: bool) -> dict[str, str]:
    """Configuration files of MCP clients, by name: `~/` is the agent's home. Without MCP they name no server."""
    command = str(client)
    long = 3600  # seconds that a tool may take
    claude = {"posttrain": {"command": command, "args": ["mcp"]}}
    gemini = {"posttrain": {"command": command, "args": ["mcp"], "timeout": 1000 * long, "trust": True}}
    opencode = {"posttrain": {"type": "local", "command": [command, "mcp"], "enabled": True, "timeout": 1000 * long}}
    permission = {"edit": "allow", "bash": "allow", "webfetch": "deny"}
    codex = f'[mcp_servers.posttrain]\ncommand = {json.dumps(command)}\nargs = ["mcp"]\ntool_timeout_sec = {long}\n'
    named: dict[str, Callable[[], Any]] = {
        ".mcp.json": lambda: {"mcpServers": claude if has_mcp else {}},
        ".gemini/settings.json": lambda: {"mcpServers": gemini if has_mcp else {}},
        "opencode.json": lambda: {
            "$schema": "https://opencode.ai/config.json", "mcp": opencode if has_mcp else {}, "permission": permission,
        },
    }  # fmt: skip
    files = {name: json.dumps(make(), indent=2) + "\n" for name, make in named.items()}
    return files | {"~/.codex/config.toml": codex if has_mcp else ""}
