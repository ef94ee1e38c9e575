"""Guards look for cheating and accidents: at a proposal, at a data source, and at the end of a run."""
