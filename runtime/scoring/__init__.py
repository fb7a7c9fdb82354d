"""Scores of networks and baselines on a split, and their comparison."""
