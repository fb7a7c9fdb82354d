"""Accuracy and cost of networks: measurements, comparisons, the study and the sweep."""
