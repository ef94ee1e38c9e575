"""A benchmark of the user's own from a file of inputs and targets: `posttrain task create` (`making.create`).

`reading` takes rows out of files, `guessing` finds the metric, `dividing` makes the splits and keeps training apart
from them, `prompts` asks, `figures` is what a careful colleague would look at, `writing` makes the folder.
"""
