"""Foundations of every room: errors, files, locks, schemas, the machine, threads, progress."""
