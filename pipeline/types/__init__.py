"""The nouns of the project, by what they are about.

Every noun is frozen and crosses disk as JSON. What a user writes is validated strictly (`Strict`);
what is read back from a ledger tolerates fields it does not know (`Record`).
"""

from pipeline.types.base import Record, Strict
from pipeline.types.benchmarks import (
    Benchmark,
    Card,
    ItemsKey,
    Judge,
    Program,
    PublishedAnchors,
    PublishedScores,
    Reference,
)
from pipeline.types.recipes import DataRef, Dimension, Proposal, Recipe, Space, Stage
from pipeline.types.results import (
    GREEDY,
    Budget,
    Cost,
    Decoding,
    Outcome,
    Score,
    Strategy,
    StrategyStage,
    Trial,
    TrialState,
    Verdict,
)
from pipeline.types.work import Brief, Completion, Finished, Job, Request

__all__ = [
    "Benchmark",
    "Brief",
    "Budget",
    "Card",
    "Completion",
    "Cost",
    "DataRef",
    "Decoding",
    "Dimension",
    "Finished",
    "GREEDY",
    "ItemsKey",
    "Job",
    "Judge",
    "Outcome",
    "Program",
    "Proposal",
    "PublishedAnchors",
    "PublishedScores",
    "Recipe",
    "Record",
    "Reference",
    "Request",
    "Score",
    "Space",
    "Stage",
    "Strategy",
    "StrategyStage",
    "Strict",
    "Trial",
    "TrialState",
    "Verdict",
]
