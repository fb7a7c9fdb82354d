"""Scans in three dimensions: reading them slice by slice, and importing them as data sets."""
