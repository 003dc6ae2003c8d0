"""Readers of the files that people and their tools write: one module per format."""
