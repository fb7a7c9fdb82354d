"""The same network in several engines, on the same inputs and threads, timed interleaved."""
