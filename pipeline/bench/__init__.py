"""Measurements of the project itself, one module per verb of `posttrain bench`: paired, medians, without a verdict."""
