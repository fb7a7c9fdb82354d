"""The version of the installed toolkit."""

from importlib.metadata import version

__version__ = version("seg-toolkit")
