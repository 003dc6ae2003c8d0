"""Where a network looks and what it relies on: maps, masks, scores and the background test."""
