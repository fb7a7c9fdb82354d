"""The sweep: networks of several widths and input sizes, cost beside accuracy."""
