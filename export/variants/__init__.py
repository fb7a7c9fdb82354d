"""Forms of a network's graph other than the plain float32 one, and what each changes."""
