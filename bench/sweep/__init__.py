"""Networks of several widths and input sizes: what each costs beside what it scores."""
