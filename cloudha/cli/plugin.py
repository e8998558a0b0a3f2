"""``cloudha plugin new``: write a provider's whole distribution, which works at once on a fake cloud of its own."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import click

from cloudha.errors import ConfigurationError, LocalConfigurationError
from cloudha.installed import PROVIDER_NAME, find, installed_names

__all__ = ["plugin", "write_plugin"]

#: Template -> file of the distribution; ``{package}`` is the import's name.
FILES: Mapping[str, str] = {
    "pyproject.toml.in": "pyproject.toml",
    "gitignore.in": ".gitignore",
    "README.md.in": "README.md",
    "permissions.md.in": "permissions.md",
    "init.py.in": "src/{package}/__init__.py",
    "provider.py.in": "src/{package}/provider.py",
    "emulator.py.in": "src/{package}/emulator.py",
    "conftest.py.in": "tests/conftest.py",
    "test_provider.py.in": "tests/test_provider.py",
    "test_conformance.py.in": "tests/test_conformance.py",
}
# A distribution's name may not end with a hyphen, and installers fold several of them into one.
HYPHENS = re.compile(r"--|-\Z")
MODE = 0o777


@click.group()
def plugin() -> None:
    """Help for those who write a provider."""


def _checked_name(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    if not PROVIDER_NAME.match(name) or HYPHENS.search(name):
        raise click.BadParameter(
            f"{name!r}: write lower case letters, digits and single hyphens, a letter first, 40 at the most; "
            "it is what operators will type as provider=NAME"
        )
    return name


@plugin.command()
@click.argument("name", callback=_checked_name)
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    show_default="the current one",
    help="Where the folder cloudha-plugin-NAME is made.",
)
@click.option("--json", "as_json", is_flag=True, help="Say what was written as JSON.")
def new(name: str, directory: Path, *, as_json: bool) -> None:
    """Write a new provider, cloudha-plugin-NAME, that passes its tests on a fake cloud of its own."""
    target, files = write_plugin(name, directory)
    steps = [
        f"cd {shlex.quote(str(target))}",
        f"{shlex.quote(sys.prefix)}/bin/pip install -e '.[dev]'",
        f"{shlex.quote(sys.prefix)}/bin/python -m pytest",
    ]
    if as_json:
        document = {"name": name, "directory": str(target.absolute()), "files": files, "next": steps}
        click.echo(json.dumps(document, indent=2))
        return
    click.echo(f"{target}: provider {name}, with a fake cloud to try it on")
    for file in files:
        click.echo(f"  {file}")
    click.echo("next:")
    for step in steps:
        click.echo(f"  {step}")
    click.echo("then make it speak to your cloud: README.md there says how")


def write_plugin(name: str, directory: Path) -> tuple[Path, list[str]]:
    """Write the distribution of provider *name* into a new folder of *directory*; return the folder and its files.

    The folder appears whole or not at all.

    :raises ConfigurationError: a provider of that name is installed here.
    :raises LocalConfigurationError: the folder is there already, or cannot be written.
    """
    if name in installed_names():
        raise ConfigurationError(
            f"provider {name} is installed here already: {find(name).origin}", advice="choose another name"
        )
    target = directory / f"cloudha-plugin-{name}"
    if os.path.lexists(target):
        raise LocalConfigurationError(f"{target} is there already", advice="choose another name or --directory")
    package = f"cloudha_plugin_{name.replace('-', '_')}"
    words = {
        "name": name,
        "package": package,
        "title": name.replace("-", " ").title(),
        "class": "".join(part.capitalize() for part in name.split("-")),
    }
    rendered = {place.format(package=package): _render(template, words) for template, place in FILES.items()}
    rendered[f"src/{package}/py.typed"] = ""
    try:
        _write_whole(target, rendered)
    except OSError as error:
        raise LocalConfigurationError(
            f"{target} cannot be written: {error.strerror or error}", advice="choose another --directory"
        ) from None
    return target, sorted(rendered)


def _render(template: str, words: Mapping[str, str]) -> str:
    text = (resources.files("cloudha") / "templates" / "plugin" / template).read_text()
    for word, value in words.items():
        text = text.replace("{{" + word + "}}", value)
    return text


def _write_whole(target: Path, files: Mapping[str, str]) -> None:
    """Write into a folder beside the target, which then gets its name; whatever goes wrong before leaves nothing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        for place, text in files.items():
            file = draft / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        # mkdtemp made it for one user alone; the umask is only to be read by setting it.
        mask = os.umask(0)
        os.umask(mask)
        draft.chmod(MODE & ~mask)
        draft.rename(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
