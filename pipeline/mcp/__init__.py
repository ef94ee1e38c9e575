"""A run as an MCP server: its doors as tools, on the official SDK (extra `mcp`), over stdio or loopback HTTP.

Every tool call is a client of the run's owner (`pipeline.owner`), in a thread of its own: a long trial holds nobody up.
`serving` starts the server, `tools` and `resources` are what it offers, `calls` is what they have in common.
"""
