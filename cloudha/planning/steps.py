"""One step of a plan: a command, why it is there, and how it looks in a shell. What is shown is what was run."""

from __future__ import annotations

import shlex
import textwrap
from dataclasses import dataclass

__all__ = ["BEFORE", "DRAFT", "Step", "carry", "pcs", "shell_lines"]

# Variables of the shell, so that a script works in a folder of its own.
DRAFT = '"$work/cib.xml"'
BEFORE = '"$work/before.xml"'
WIDTH = 100


@dataclass(frozen=True, slots=True)
class Step:
    """A line of shell and the reason for it. ``words``: of pcs after ``pcs -f DRAFT``, () for another program."""

    line: str
    why: str
    words: tuple[str, ...] = ()

    @property
    def deletes(self) -> bool:
        """Whether it takes a resource out of the configuration."""
        return self.words[1:2] == ("delete",)

    def forced(self) -> Step:
        """Return the step for a machine where pcs has no metadata of the agents to check against."""
        if self.words[1:2] != ("create",):
            return self
        return Step(self.line.replace(f"pcs -f {DRAFT}", f"pcs -f {DRAFT} --force", 1), self.why, self.words)


def pcs(why: str, *words: str) -> Step:
    """Return the step that runs pcs on the draft."""
    return Step(f"pcs -f {DRAFT} {shlex.join(words)}", why, words)


def carry(old: str, parameter: str, new: str, name: str) -> Step:
    """Return the step that copies a secret parameter inside the draft, through a pipe: never in argv or on a screen."""
    attributes = f"{new}-instance_attributes"
    edit = (
        f's/ id="[^"]*"/ id="{attributes}-{name}"/',
        f's/ name="[^"]*"/ name="{name}"/',
        f's|^|<primitive id="{new}"><instance_attributes id="{attributes}">|',
        "s|$|</instance_attributes></primitive>|",
    )
    cibadmin = f"CIB_file={DRAFT} cibadmin"
    return Step(
        # Ids and names are XML names, so the shell finds nothing in them to replace.
        f"{cibadmin} --query \\\n"
        f"    --xpath \"//primitive[@id='{old}']/instance_attributes/nvpair[@name='{parameter}']\" |\n"
        + "".join(f"  {'sed' if part is edit[0] else '   '} -e {shlex.quote(part)} \\\n" for part in edit)
        + f"  | {cibadmin} --modify --allow-create --scope resources --xml-pipe",
        f"{old}'s secret {parameter} becomes {name}, without being shown or given to a command as an argument.",
    )


def shell_lines(step: Step, command: str = f"pcs -f {DRAFT}") -> list[str]:
    """Return the step as lines of a script, its reason as a comment above it; *command*: on the draft, or ``pcs``."""
    comment = textwrap.wrap(
        step.why, WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False, break_on_hyphens=False
    )
    if not step.words:
        return [*comment, *step.line.split("\n")]
    lines, line = [], command
    for word in map(shlex.quote, step.words):
        if len(line) + len(word) > WIDTH:
            lines.append(f"{line} \\")
            line = f"    {word}"
        else:
            line = f"{line} {word}"
    return [*comment, *lines, line]
