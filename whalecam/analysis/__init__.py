"""What is computed from the tables of runs: findings, patterns, comparisons, calibration, agreement."""
