"""Scorers: they turn a model and a benchmark's items into per-item results. One module with a `score` each."""
