"""The command's verbs, by group. Each imports what it needs when it runs, so that `--help` stays fast."""
