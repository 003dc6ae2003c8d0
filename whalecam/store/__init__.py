"""The run folder, its table and the journal of verdicts."""
