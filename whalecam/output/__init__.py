"""What leaves a run: the CSV of verdicts, the report, and the gate of a pipeline."""
