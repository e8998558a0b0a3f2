"""Steps as a shell script that an operator reads and runs on one node."""

from __future__ import annotations

from collections.abc import Sequence

from cloudha.planning.steps import BEFORE, DRAFT, Step, shell_lines

__all__ = ["PUSH", "one_push", "script", "whole_or_not"]

PUSH = f"pcs cluster cib-push {DRAFT} diff-against={BEFORE}"
BEGIN = (
    "# A copy of the configuration is changed, checked, and pushed as one: nothing is ever half done.",
    "work=$(mktemp -d) && trap 'rm -rf \"$work\"' EXIT",
    f"pcs cluster cib {DRAFT}",
    f"cp {DRAFT} {BEFORE}",
)
VERIFY = f"crm_verify --xml-file {DRAFT} -V"


def one_push(steps: Sequence[Step]) -> list[str]:
    """Return the lines that make *steps* one change of the cluster; what they remove is removed last."""
    added = [step for step in steps if not step.deletes]
    removed = [step for step in steps if step.deletes]
    lines = [*BEGIN]
    for step in added:
        lines += ["", *shell_lines(step)]
    # Checked before anything is taken out: crm_verify warns of a resource that runs and is not configured any more.
    lines += ["", VERIFY]
    for step in removed:
        lines += ["", *shell_lines(step)]
    return [*lines, *([""] if removed else []), PUSH]


def whole_or_not(lines: Sequence[str]) -> list[str]:
    """Return *lines* so that the first that fails is the last that runs, also where they are pasted into a shell.

    A shell that somebody types into would go on: delete the old resource whose new one was refused, and push that.
    """
    return ["( set -e  # up to the closing bracket: the first failure ends it", *lines, ")"]


def script(steps: Sequence[Step], *remarks: str) -> str:
    """Return the whole script; *remarks* are comments at its top."""
    head = ["#!/bin/sh", *(f"# {remark}" for remark in remarks), "set -eu", "umask 077", ""]
    return "\n".join([*head, *one_push(steps)])
