"""Finds what a page would fetch: everything that is neither within the page nor a data URI."""

import base64
import re
from html.parser import HTMLParser

FETCHING = {"src", "srcset", "href", "xlink:href", "action", "formaction", "poster", "data", "ping"}


class _Attributes(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in FETCHING:
                self.addresses.append(value or "")
            elif name.startswith("on"):
                self.handlers.append(name)


def pictures(page: str) -> list[tuple[str, bytes]]:
    """Return the media type and content of every data URI."""
    found = re.findall(r"data:([a-z+/-]+);base64,([A-Za-z0-9+/=]*)", page)
    return [(kind, base64.b64decode(content)) for kind, content in found]


def external_references(page: str) -> list[str]:
    """Return every address in a page, its styles and its SVG pictures that leads out of it."""
    sources = [page, *(c.decode() for kind, c in pictures(page) if kind == "image/svg+xml")]
    addresses: list[str] = []
    for source in sources:
        parser = _Attributes()
        parser.feed(source)
        addresses += parser.addresses
        addresses += re.findall(r"url\(\s*['\"]?([^'\")]*)", source)
        addresses += re.findall(r"@import[^;]*", source)
    return [a for a in addresses if not a.startswith(("data:image/", "#"))]


def handlers(page: str) -> list[str]:
    """Return the names of every attribute that would run a script."""
    parser = _Attributes()
    parser.feed(page)
    return parser.handlers
