"""Processes that measure: asked by lines of JSON on standard input, they answer by such lines."""
