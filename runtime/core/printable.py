"""Text of unknown origin, as any terminal and file can take it."""


def printable(value: object, limit: int | None = None) -> str:
    """Return `str(value)` as one line: what could break it or move a cursor is written as escapes.

    Args:
        limit: characters of the text that are kept; by default all.
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in str(value)[:limit]
    )
