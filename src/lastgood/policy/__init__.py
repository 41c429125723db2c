"""Gates: evidence in, verdicts out. Pure functions that a promotion, and `lastgood check`, ask."""
