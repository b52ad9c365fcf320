"""The page of the installed models."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from .. import pages
from .store import directory

MEGABYTE = 1e6


def listing_page(models: Sequence[dict[str, Any]]) -> str:
    """Return a page with an entry for each model, as :func:`.installation.list_models` has it."""
    count = len(models)
    sentence = f"{count or 'No'} model{'' if count == 1 else 's'} {'is' if count == 1 else 'are'} "
    parts = [pages.lead(f"{sentence}installed.")]
    for each in models:
        parts.append(pages.heading(each["name"]))
        if each.get("problem"):
            parts.append(pages.note(each["problem"]))
        else:
            parts.append(f"<p>{html.escape(each['summary'])}</p>")
            rows = [[name, text] for name, text in each["facts"].items() if name != "Name"]
            parts.append(pages.table(["", ""], rows))
        size = f"{each['bytes'] / MEGABYTE:.1f} MB"
        parts.append(pages.note(f"Installed {each['installed'][:10]} · {size} · {each['path']}"))
    parts.append(pages.note(f"The models lie in {directory()}."))
    return pages.page("Installed models", parts, _STYLE)


_STYLE = """
td:nth-child(2) { white-space: normal; overflow-wrap: anywhere; text-align: left; }
.note { overflow-wrap: anywhere; }
"""
