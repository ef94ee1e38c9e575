"""Judges: language models that are asked about other models' answers, what they cost, and what their verdicts say."""
