"""Ways to run jobs, each in a killable process of its own. Every module offers `create(slots, threads) -> Executor`."""
