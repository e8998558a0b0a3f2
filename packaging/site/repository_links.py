"""For mkdocs: a link from a page to a file of the repository that is no page leads to the repository on the site.

In the repository, pages link to files beside docs/ by their path, which is checked here: a file that is not there is an
error of the build.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

TREE = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\((\.\./[^)#\s]+)(#[^)\s]*)?\)")
# mkdocs counts what its own loggers warn of, and --strict makes that an error.
log = logging.getLogger("mkdocs.hooks.repository_links")


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: object) -> str:  # noqa: ANN401 - mkdocs' own types
    """Return the page with such links pointing into the repository."""

    def absolute(found: re.Match[str]) -> str:
        path = (TREE / "docs" / found[1]).resolve()
        if not path.exists():
            log.warning("%s: there is no %s", page.file.src_path, found[1])
        kind = "tree" if path.is_dir() else "blob"
        return f"]({config['repo_url']}/{kind}/main/{path.relative_to(TREE)}{found[2] or ''})"

    return LINK.sub(absolute, markdown)
