"""Agents propose what to try next. Every module offers `create(brief, seed) -> Agent`."""
