"""``cloudha policy``: the least permissions, in the vendor's own form, ready to apply."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import RenderableType

from cloudha.cli.output import Output, cell, json_option
from cloudha.cli.permissions import make_policy
from cloudha.cli.settings import Cloud, complete_provider, parameter_option
from cloudha.errors import LocalConfigurationError, UnsupportedError
from cloudha.policy import Document, Policy, PolicyRequest
from cloudha.types import Kind

__all__ = ["policy"]


@click.command()
@click.argument("provider", shell_complete=complete_provider)
@click.option(
    "--kind",
    "kinds",
    type=click.Choice([kind.value for kind in Kind]),
    multiple=True,
    help="Permit floating addresses of this kind. Repeatable.",
)
@click.option("--fencing/--no-fencing", default=True, show_default=True, help="Permit power off and on.")
@click.option(
    "--nodes",
    metavar="ID[,ID]",
    multiple=True,
    help="The cluster's machines, by id: permit no others, where the vendor's language can say that. Repeatable.",
)
@click.option(
    "--save",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the documents into this folder instead of printing them.",
)
@parameter_option
@json_option
def policy(
    output: Output,
    provider: str,
    kinds: tuple[str, ...],
    nodes: tuple[str, ...],
    save: Path | None,
    given: dict[str, str],
    *,
    fencing: bool,
) -> None:
    """Print the least permissions that PROVIDER needs, as documents ready to apply. Asks no cloud.

    What there is to do with them, and what they permit beyond the least, is said on standard error.
    """
    if not (fencing or kinds):
        raise click.UsageError("Nothing is to be permitted: give --kind, or leave --no-fencing out.")
    cloud = Cloud(provider, given, on_command_line=given)
    wanted = tuple(Kind(kind) for kind in dict.fromkeys(kinds))
    for kind in wanted:
        if kind not in cloud.provider.info.kinds:
            raise UnsupportedError(f"kind={kind.value} is not offered by provider {provider!r}")
    ids = tuple(dict.fromkeys(part for text in nodes for part in text.replace(",", " ").split()))
    made = make_policy(cloud.provider, PolicyRequest(fencing, wanted, ids, cloud.settings(partial=True)))
    if made is None:
        raise UnsupportedError(
            f"provider {provider!r} brings no policy documents", advice=f"see: cloudha describe {provider}"
        )
    paths = _save(save, made.documents) if save else []
    output.show(
        {
            "provider": provider,
            "fencing": fencing,
            "kinds": wanted,
            "nodes": ids,
            "documents": made.documents,
            "steps": made.steps,
            "replace": dict(made.placeholders),
            "notes": made.notes,
            "saved": [str(path) for path in paths],
        },
        *([cell(f"written: {path}") for path in paths] if save else _printed(made.documents)),
    )
    if not output.as_json:
        _explain(output, made, fencing_alone=not kinds, saved=bool(save))


def _printed(documents: tuple[Document, ...]) -> list[RenderableType]:
    """Return the documents as they are; one alone can be sent into a file."""
    if len(documents) == 1:
        return [documents[0].text.rstrip("\n")]
    parts: list[RenderableType] = []
    for document in documents:
        parts += [cell(f"==> {document.name} <==", "bold"), document.text]
    return parts


def _save(folder: Path, documents: tuple[Document, ...]) -> list[Path]:
    paths = [folder / document.name for document in documents]
    for path in paths:
        if path.exists():
            raise LocalConfigurationError(f"{path} is there already", advice="nothing was written; move it away")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, document in zip(paths, documents, strict=True):
            path.write_text(document.text)
    except OSError as error:
        raise LocalConfigurationError(f"{folder} cannot be written: {error.strerror}") from None
    return paths


def _explain(output: Output, made: Policy, *, fencing_alone: bool, saved: bool) -> None:
    wanted = [document.name for document in made.documents if any(document.name in step for step in made.steps)]
    if wanted and not saved:
        output.remark(f"save: as {', '.join(wanted)}; --save FOLDER does it")
    for word, meaning in made.placeholders:
        output.remark(f"replace {word}: {meaning}")
    for step in made.steps:
        output.remark(f"apply: {step}")
    for note in made.notes:
        output.remark(f"note: {note}")
    if fencing_alone:
        output.remark("note: for fencing alone; add --kind for floating addresses")
