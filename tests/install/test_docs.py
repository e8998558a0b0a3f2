"""The documentation holds: what it says to type can be typed, what it quotes is said, where it points is something.

Commands are not run here, which would need a cluster or an account; they go through the parsers that would read them. A
block of commands after ``<!-- needs an account -->`` is left alone.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from cloudha.agents.fence_input import from_arguments
from cloudha.agents.fence_metadata import options as fence_options
from cloudha.agents.floating_ip_options import OWN
from cloudha.cli.main import main
from cloudha.errors import CloudhaError
from cloudha.installed import declared, installed_names
from cloudha.options import COMMON_OPTIONS, Audience, Option

TREE = Path(__file__).parents[2]
PAGES = sorted(
    (
        *(TREE / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
        *TREE.glob("docs/*.md"),
        *TREE.glob("plugins/*/README.md"),
    )
)
PLUGINS = [file.parent.name for file in sorted(TREE.glob("plugins/*/pyproject.toml"))]
MARK = "<!-- needs an account -->"
BLOCK = re.compile(
    r"^(?P<mark>" + re.escape(MARK) + r"\n+)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)|<img[^>]* src=\"([^\"]+)\"")
TARGET = re.compile(r"^([^\s:#=][^:=\n]*):(?!=)", re.MULTILINE)
ASSIGNMENT = re.compile(r"[A-Z_]+=.*")
PARAMETER = re.compile(r"([a-z][a-z0-9_]*)=")
SHELL = ("", "sh", "bash", "shell", "console")
# What pcs takes for a fence device of any agent, beside the agent's own parameters.
PCMK = re.compile(r"pcmk_(host_(map|list|check|argument)|delay_(base|max)|(off|on|reboot|status|list|monitor)_\w+)")
# These end the agent's parameters in a pcs command.
SECTIONS = ("op", "meta", "clone", "promotable", "--group", "group", "--wait", "--disabled", "--force")


@dataclass(frozen=True)
class Command:
    """One command on a page, in words."""

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def commands(*programs: str) -> list[Command]:
    """All commands on all pages that begin with one of *programs*."""
    return [command for page in PAGES if page.exists() for command in on_page(page) if command.words[0] in programs]


def on_page(page: Path) -> Iterator[Command]:
    text = page.read_text()
    name = str(page.relative_to(TREE))
    for block in BLOCK.finditer(text):
        if block["mark"] or block["language"] not in SHELL:
            continue
        for line in block["text"].replace("\\\n", " ").splitlines():
            yield from split(name, line)
    for span in INLINE.finditer(BLOCK.sub("", text)):
        # In a sentence, a command has more than its name; `make` and `cloudha` alone are just words.
        if " " in span[1]:
            yield from split(name, span[1])


def split(page: str, line: str) -> Iterator[Command]:
    lexer = shlex.shlex(line.strip(), posix=True, punctuation_chars="|;&>")
    lexer.whitespace_split = True
    words: list[str] = []
    try:
        found = list(lexer)
    except ValueError:
        # An apostrophe: a sentence, or a program's output.
        return
    for word in [*found, ";"]:
        if word and set(word) <= set("|;&>"):
            if words:
                yield Command(page, (Path(words[0]).name, *words[1:]))
            words = []
        else:
            words.append(word)


def ids(command: Command) -> str:
    return str(command)[:100]


@pytest.mark.parametrize("command", commands("cloudha"), ids=ids)
def test_cloudha_takes_it(command: Command) -> None:
    found: click.Command = main
    name, *words = command.words
    context = click.Context(main, info_name=name)
    while isinstance(found, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        inner = found.get_command(context, name)
        assert inner is not None, f"{command}: there is no command {name}"
        found, context = inner, click.Context(inner, info_name=name, parent=context)
    if isinstance(found, click.Group) and not words:
        # A sentence about all of its commands.
        return
    if words == ["..."]:
        return
    try:
        found.make_context(name, words, parent=context.parent)
    except click.exceptions.Exit:
        # --help and --version.
        pass
    except click.MissingParameter as error:
        # In a sentence; in a block it would be wrong.
        if not in_a_sentence(command):
            pytest.fail(f"{command}: {error.message}")
    except click.BadParameter as error:
        # A file that only the reader has is no fault.
        if error.param is None or not isinstance(error.param.type, click.Path | click.File):
            pytest.fail(f"{command}: {error.message}")


def in_a_sentence(command: Command) -> bool:
    text = BLOCK.sub("", (TREE / command.page).read_text())
    return command in [found for span in INLINE.finditer(text) for found in split(command.page, span[1])]


@pytest.mark.parametrize("command", commands("make"), ids=ids)
def test_make_has_the_target(command: Command) -> None:
    rules = (TREE / "Makefile").read_text().replace("$(VENV)", ".venv")
    targets = {name for names in TARGET.findall(rules) for name in names.split()}
    for word in command.words[1:]:
        assert ASSIGNMENT.fullmatch(word) or word in targets, str(command)


@pytest.mark.parametrize("command", commands("fence_cloud"), ids=ids)
def test_fence_cloud_takes_it(command: Command) -> None:
    _, *words = command.words
    if not words or not words[0].startswith("-"):
        # Its name in a sentence, or output that begins with it.
        return
    if "..." in words:
        words.remove("...")
    try:
        from_arguments(words, fence_options(pytest.fail))
    except CloudhaError as error:
        # A sentence may name an option without its value.
        if "needs a value" not in str(error) or not in_a_sentence(command):
            pytest.fail(f"{command}: {error}")


@pytest.mark.parametrize("command", commands("pcs"), ids=ids)
def test_pcs_is_given_what_the_agents_know(command: Command) -> None:
    kind, verb = (*command.words[1:3], "", "")[:2]
    if kind not in ("stonith", "resource") or verb not in ("create", "update"):
        return
    known = fence_names if kind == "stonith" else floating_names
    rest = list(command.words[4:])
    if verb == "create":
        agent = rest.pop(0) if rest else ""
        if agent not in ("fence_cloud", "ocf:cloudha:floating-ip"):
            assert "cloudha" not in agent, str(command)
            return
        assert (agent == "fence_cloud") == (kind == "stonith"), str(command)
    given = {}
    for word in rest:
        if word in SECTIONS:
            break
        name, found, value = word.partition("=")
        assert found or name == "...", f"{command}: {word}"
        given[name] = value
    provider = given.get("provider", "")
    names = known(provider if provider in PLUGINS else "")
    wrong = [name for name in given if name not in names and name != "..."]
    if kind == "stonith":
        wrong = [name for name in wrong if not PCMK.fullmatch(name)]
    assert not wrong, f"{command}: {wrong}"
    if verb == "create":
        assert provider, str(command)


def fence_names(provider: str) -> set[str]:
    own = {known.option.name for known in fence_options(pytest.fail)}
    return own if not provider else own - others(provider, Audience.ADDRESS)


def floating_names(provider: str) -> set[str]:
    shared = {option.name for option in (*OWN, *COMMON_OPTIONS)}
    return shared | {option.name for name in ([provider] if provider else PLUGINS) for option in options(name)}


def options(provider: str) -> list[Option]:
    return [option for option in declared(provider).options if option.audience is not Audience.FENCE]


def others(provider: str, audience: Audience) -> set[str]:
    """Names that only other providers have."""
    mine = {option.name for option in declared(provider).options if option.audience is not audience}
    every = {option.name for name in PLUGINS for option in declared(name).options}
    return every - mine - {"password"}


def test_there_are_commands() -> None:
    # Should the pages' form change, so that nothing is found any more.
    for program, least in {"cloudha": 30, "make": 15, "fence_cloud": 10, "pcs": 30}.items():
        assert len(commands(program)) >= least, program


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TREE)))
def test_links_lead_somewhere(page: Path) -> None:
    text = BLOCK.sub("", page.read_text())
    found = [found[1] for found in LINK.finditer(text)]
    found += [found[1] or found[2] for found in PICTURE.finditer(text)]
    for link in found:
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), f"{link}: there is no {place}"
        assert target.is_relative_to(TREE), link
        if anchor:
            assert anchor in anchors(target), f"{link}: no such title"


def anchors(page: Path) -> set[str]:
    """Titles as they are linked to, by the repository's page and by the site alike."""
    titles = re.findall(r"^#+ (.+)$", BLOCK.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_quoted_messages_are_said() -> None:
    said = " ".join(file.read_text() for folder in ("cloudha", "plugins") for file in TREE.glob(f"{folder}/**/*.py"))
    # A text over two lines, in one.
    said = re.sub(r'"\s*\n\s*f?"', "", said)
    rows = [row for row in (TREE / "docs/troubleshooting.md").read_text().splitlines() if row.startswith("| `")]
    rows = [row for row in rows if not row.startswith(("| `pcs ", "| `Timed Out"))]
    assert len(rows) >= 40
    for row in rows:
        for quoted in INLINE.findall(row.split("|")[1]):
            for piece in re.split(r"\.\.\.|=|\d+", quoted):
                assert piece.strip(" ,;:()") in said, f"nobody says {quoted!r}"


def test_references_are_current() -> None:
    if missing := set(PLUGINS) - set(installed_names()):
        pytest.skip(f"not installed: {missing}")
    script("reference", "--check")


def test_manual_pages(tmp_path: Path) -> None:
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    script("manpages", "--check", "--output", str(tmp_path))
    assert len(list(tmp_path.rglob("*.gz"))) == 3


def test_versions_are_in_lockstep() -> None:
    script("dist", "--check")


def test_every_page_is_on_the_site() -> None:
    listed = re.findall(r"[\w-]+\.md", (TREE / "mkdocs.yml").read_text())
    assert {page.name for page in TREE.glob("docs/*.md")} <= set(listed)
    assert len(listed) == len(set(listed))


def script(name: str, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, TREE / "scripts" / name, *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_site_is_complete_in_itself(tmp_path: Path) -> None:
    """Built without a warning, and no page loads anything from elsewhere."""
    program = Path(sys.executable).parent / "mkdocs"
    if not program.exists():
        pytest.skip("mkdocs is not installed here; make docs builds it")
    done = subprocess.run(
        [program, "build", "--quiet", "--strict", "--site-dir", tmp_path],
        cwd=TREE,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    loads = re.compile(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"?(?:https?:)?//[^\"\s>]+")
    foreign = {
        found[0]
        for page in tmp_path.rglob("*.html")
        for found in loads.finditer(page.read_text())
        if 'rel="canonical"' not in found[0]
    }
    assert not foreign
