"""From a trained run to its table: one part after the other, resumable."""
