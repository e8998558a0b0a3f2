"""Text in XML. ``xml.sax.saxutils`` does the same and imports urllib, which costs more than the whole metadata."""

from __future__ import annotations

__all__ = ["attribute", "content"]


def content(text: str) -> str:
    """Return *text* as the content of an element."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def attribute(text: str) -> str:
    """Return *text* as an attribute's value, quotes included."""
    return '"' + content(text).replace('"', "&quot;").replace("\n", " ") + '"'
