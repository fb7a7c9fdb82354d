"""What a network costs beside what it scores."""

from bench.machine import Machine, describe_machine

__all__ = ["Machine", "describe_machine"]
