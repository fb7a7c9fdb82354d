"""The table of backends."""

from bench.backends.backend import BACKENDS


def test_every_backend_has_a_name_of_its_own_and_a_module_that_can_be_imported() -> None:
    assert len({backend.name for backend in BACKENDS}) == len(BACKENDS)
    for backend in BACKENDS:
        module, _, function = backend.entry.partition(":")
        home = __import__(module, fromlist=[function])
        assert getattr(home, function).__doc__
