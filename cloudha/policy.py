"""The least permissions as documents ready to apply: what a plugin's ``policy`` is asked, and what it answers.

A plugin may have a module ``policy`` beside its provider's module, with a function ``policy(request) -> Policy``. It
asks nobody and imports no SDK. Only ``cloudha policy`` looks for it; the agents never do.
"""

from __future__ import annotations

from cloudha.options import Settings
from cloudha.record import Record
from cloudha.types import Kind

__all__ = ["Document", "Policy", "PolicyRequest"]


class PolicyRequest(Record):
    """What is to be permitted.

    ``fencing``: powering the machines off and on. ``kinds``: floating addresses of these kinds. ``nodes``: the
    machines' ids, () for all that the identity will see; a plugin refuses what cannot be an id in its cloud.
    ``settings``: the provider's parameters, as far as they are known; none is required here.
    """

    fencing: bool
    kinds: tuple[Kind, ...]
    nodes: tuple[str, ...]
    settings: Settings


class Document(Record):
    """One document in the vendor's own form. ``name``: of a file to save it in. ``text``: all of its content."""

    name: str
    text: str


class Policy(Record):
    """The answer.

    ``documents``: what to apply. ``steps``: the vendor's commands that apply them, in order. ``placeholders``: words in
    documents and steps that the operator must replace, with what each means. ``notes``: what an operator must know:
    above all which permission is wider than asked for, because the vendor's language cannot say it narrower.
    """

    documents: tuple[Document, ...]
    steps: tuple[str, ...] = ()
    placeholders: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
