"""Engines: they turn requests into completions. One module with an `open_engine` each."""
