"""What a user says of a command-line agent: the preset or command line, and its options."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from pipeline.agents._transcript import UsageRule
from pipeline.cage import programs, proxy, walls
from pipeline.cage.proxy import Host
from pipeline.errors import InputError
from pipeline.types import Strict
from pipeline.yaml_file import read_model

PRESETS = Path(__file__).parent / "presets"
INTERPRETER = re.compile(r"(python|pypy|bash|sh|dash|zsh|node|bun|deno|ruby|perl)[\d.]*$")
GB = 10**9


class Options(Strict):
    """What the agent may do, and how it is looked after. Lists are written with commas."""

    freedom: Literal["recipes", "code"] = "recipes"  # proposals only; or it may train by itself and submit
    sandbox: Literal["auto", "on", "off"] = "auto"  # auto: where there is bubblewrap
    restarts: int = Field(default=5, ge=0, le=1000)  # how often it is started again when it stops early
    silence: float = Field(default=0.0, ge=0.0)  # seconds without output or a call, then it is ended; 0: see `patience`
    model: str = ""  # of a preset: which model it uses
    hosts: str = ""  # that it may reach: `api.example.com,127.0.0.1:8000`; of a preset: beside its provider's
    env: str = ""  # names of variables that it gets from this environment; of a preset: instead of its provider's key
    bind: str = ""  # more files and folders that it may read
    processes: int = Field(default=1024, ge=8)  # threads count, too
    memory_gb: float = Field(default=16.0, gt=0.0)  # of each process
    disk_gb: float = Field(default=0.0, ge=0.0)  # of its folders; 0: 2, and 100 with freedom code
    transcript_mb: float = Field(default=64.0, gt=0.0)

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        proxy.parse(self.hosts)
        for name in listed(self.env):
            if not name.isidentifier():
                raise InputError(f"env '{name}': not the name of a variable: write NAME,NAME")
        return self

    @property
    def patience(self) -> float:
        """Seconds of silence after which it is ended: half an hour, or six where it may be training by itself."""
        return self.silence or (21_600.0 if self.freedom == "code" else 1_800.0)

    @property
    def limits(self) -> walls.Limits:
        """The sandbox's limits."""
        disk = self.disk_gb or (100.0 if self.freedom == "code" else 2.0)
        return walls.Limits(processes=self.processes, memory_bytes=int(self.memory_gb * GB), disk_bytes=int(disk * GB))


class Key(Strict):
    """What a key opens: the hosts that it is for, and under which name the program wants it."""

    hosts: tuple[str, ...]
    given_as: str = ""


class Preset(Strict):
    """A command-line agent as a YAML file in `presets/` describes it."""

    summary: str
    install: str
    command: str  # with {ask}, {workdir}, {prompt}, {home}
    model: str = ""  # arguments that choose a model, with {model}
    keys: dict[str, Key] = Field(min_length=1)  # of the environment; the first that is set is used
    variables: dict[str, str] = {}
    usage: tuple[UsageRule, ...] = ()


class Line(NamedTuple):
    """A command line that can be run here: settled arguments, the secrets that it gets, the hosts that it may reach."""

    argv: list[str]
    variables: dict[str, str]
    hosts: tuple[Host, ...]
    usage: tuple[UsageRule, ...]


def listed(text: str) -> list[str]:
    """The parts of a list with commas."""
    return [part for each in text.split(",") if (part := each.strip())]


def preset_names() -> list[str]:
    """The presets that ship."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def preset_of(argument: str) -> Preset | None:
    """The preset that an argument names; None if it is a command line."""
    name = argument.strip()
    return read_model(PRESETS / f"{name}.yaml", Preset) if name in preset_names() else None


def words(argument: str) -> list[str]:
    """The words of a command line. Raises InputError if there are none, or a quote is open."""
    try:
        found = shlex.split(argument)
    except ValueError as error:
        raise InputError(f"agent 'command:{argument}': not a command line ({error}): close the quote") from None
    if not found:
        raise InputError(
            f"agent 'command': which one? write command:NAME with NAME of {', '.join(preset_names())}, or a command "
            'line, "command:./my-agent {workdir}"'
        )
    return found


def name_of(argument: str, argv: list[str]) -> str:
    """A short name: the preset's, the program's, or that of the script which an interpreter runs."""
    if preset_of(argument):
        return argument.strip()
    scripts = [part for part in argv[1:] if os.path.isabs(part) and Path(part).is_file()]
    return Path(scripts[0] if scripts and INTERPRETER.match(Path(argv[0]).name) else argv[0]).name


def settle(argument: str, options: Options, argv: list[str] | None = None) -> Line:
    """The command line as it can be run from any folder; `argv` has been settled before.

    Raises InputError: what is missing here, and where to get it.
    """
    preset, who = preset_of(argument), f"agent 'command:{argument}'"
    more = {name: _value(name, who) for name in listed(options.env)}
    if preset is None:
        if options.model:
            raise InputError(f"--agent-option model: {who} is a command line of your own: write the model into it")
        return Line(argv or programs.settled(words(argument), who), more, proxy.parse(options.hosts), ())
    chosen = shlex.split(preset.model.replace("{model}", shlex.quote(options.model))) if options.model else []
    try:
        argv = argv or programs.settled([*words(preset.command), *chosen], who)
    except InputError as error:
        raise InputError(f"{error}: {preset.install}") from None
    secrets, hosts = _key(preset, who, more)
    return Line(argv, {**preset.variables, **secrets}, (*hosts, *proxy.parse(options.hosts)), preset.usage)


def _key(preset: Preset, who: str, given: Mapping[str, str]) -> tuple[dict[str, str], tuple[Host, ...]]:
    """The one key that a preset needs, or what its user hands on instead, and the hosts of these."""
    named = [name for name in preset.keys if name in given] or [name for name in preset.keys if os.environ.get(name)][
        :1
    ]
    if not named and not given:
        names = " or ".join(preset.keys)
        raise InputError(f"{who}: {preset.summary} needs a key: set {names} in the environment")
    secrets = dict(given)
    for name in named:
        secrets[preset.keys[name].given_as or name] = os.environ[name]
    hosts = [host for name in named for host in proxy.parse(",".join(preset.keys[name].hosts))]
    if not hosts:  # a key of another kind: all that the preset knows
        hosts = [host for key in preset.keys.values() for host in proxy.parse(",".join(key.hosts))]
    return secrets, tuple(dict.fromkeys(hosts))


def _value(name: str, who: str) -> str:
    found = os.environ.get(name)
    if not found:
        raise InputError(f"{who}: env: {name} is not set in the environment: set it, or leave it out")
    return found


def readable(options: Options, argument: str) -> list[Path]:
    """The places of `bind`. Raises InputError for one that is not there."""
    found = [Path(part).expanduser().absolute() for part in listed(options.bind)]
    for path in found:
        if not path.exists():
            raise InputError(f"agent 'command:{argument}': bind {path}: no such file or folder")
    return found
