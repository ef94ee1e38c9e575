"""posttrain: an agent searches post-training recipes; the report says how much of the human gain was regained."""

__version__ = "0.1.0"
