"""The same network in other runtimes, on the same inputs and threads, in turn."""
