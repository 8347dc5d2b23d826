"""What every page has around its sections: the head, the switch between languages, the contents, the foot."""

import base64
import hashlib
from importlib.resources import files

from tongzhou.errors import DataError
from tongzhou.i18n import LANGUAGES
from tongzhou.report._markup import Child, Markup, both, join, tag
from tongzhou.report.figures import Words

__all__ = ["contents", "document", "footer"]


def document(title: Words, body: Markup, lang: str) -> str:
    """Return a complete HTML document.

    Args:
        title: of the page.
        body: what follows the bar at the top.
        lang: the language it opens in.

    Raises:
        DataError: when the language is not one of :data:`tongzhou.i18n.LANGUAGES`.
    """
    if lang not in LANGUAGES:
        raise DataError(
            "the report's language must be one of {allowed}, got {got}",
            allowed=", ".join(LANGUAGES),
            got=lang,
        )
    script = _asset("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'"
    head = join(
        Markup('<meta charset="utf-8">'),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="color-scheme", content="light"),
        tag("title", title.zh if lang == "zh" else title.en),
        Markup(f"<style>{_asset('page.css')}</style>"),
    )
    element = tag(
        "body",
        _switch(lang),
        _bar(),
        body,
        Markup(f"<script>{script}</script>"),
        data_title_en=title.en,
        data_title_zh=title.zh,
    )
    page_lang = "zh-Hans" if lang == "zh" else "en"
    return f'<!DOCTYPE html>\n<html lang="{page_lang}">\n<head>{head}</head>\n{element}\n</html>\n'


def contents(*entries: tuple[str, Child]) -> Markup:
    """Return the list of sections: pairs of an anchor and a title."""
    items = [tag("li", tag("a", title, href=f"#{anchor}")) for anchor, title in entries]
    return tag("nav", tag("ol", *items))


def footer(program: str) -> Markup:
    """Return the foot of a page."""
    return tag(
        "footer",
        both(
            "Drawn by {program}. This file is complete: it loads nothing and sends nothing.", program=program
        ),
    )


def _asset(name: str) -> str:
    return (files("tongzhou.report") / name).read_text("utf-8").strip()


def _switch(lang: str) -> Markup:
    """Return the two radio buttons; they come first so that one rule of style governs all that follows."""
    buttons = [
        tag(
            "input",
            type="radio",
            name="lang",
            id=f"show-{code}",
            cls="switch",
            aria_label=label,
            checked="checked" if code == lang else None,
        )
        for code, label in (("en", "English"), ("zh", "中文"))
    ]
    return join(*buttons)


def _bar() -> Markup:
    return tag(
        "div",
        tag("span", tag("b", "同舟"), " Tongzhou", cls="brand"),
        tag(
            "span",
            tag("label", "English", for_="show-en"),
            tag("label", "中文", for_="show-zh"),
            cls="labels",
        ),
        cls="topbar",
    )
