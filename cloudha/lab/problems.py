"""What can go wrong with a lab, for a person to read: one line each."""

from __future__ import annotations

__all__ = ["LabError", "NotReady", "RequirementMissing"]


class LabError(Exception):
    """The lab could not do what was asked; the text is one line that says why."""


class RequirementMissing(LabError):
    """This machine lacks something that every lab needs; the text says what to install or to do."""


class NotReady(LabError):
    """Something was waited for and did not come in time. The lab stays as it is, for looking at."""
