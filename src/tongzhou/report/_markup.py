"""Markup that cannot be injected into, and words in both languages at once.

A plain string given to :func:`tag` or to a sentence is always escaped; only :class:`Markup` passes. So a
hostile column name stays text wherever it appears.
"""

from html import escape

from tongzhou.i18n import translator
from tongzhou.report.figures import Words

__all__ = ["SPACE", "Child", "Markup", "both", "code", "join", "of_words", "strong", "table", "tag", "words"]

_VOID = frozenset({"br", "col", "hr", "input", "meta"})
_zh = translator("zh", "report")


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


SPACE = Markup('<span lang="en"> </span>')
"""The space between two sentences, which Chinese does not write."""

Child = str | Words | int | None


def _render(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, Words):
        return of_words(child)
    return escape(str(child), quote=False)


def tag(name: str, /, *children: Child, **attributes: str | int | None) -> Markup:
    """Return an element. ``cls`` is the class, ``data_x`` becomes ``data-x``, None is left out."""
    parts = [f"<{name}"]
    for key, value in attributes.items():
        if value is not None:
            written = "class" if key == "cls" else key.rstrip("_").replace("_", "-")
            parts.append(f' {written}="{escape(str(value))}"')
    parts.append(">")
    if name not in _VOID:
        parts.extend(_render(child) for child in children)
        parts.append(f"</{name}>")
    return Markup("".join(parts))


def join(*children: Child, by: str = "") -> Markup:
    """Return the children one after another."""
    return Markup(by.join(_render(child) for child in children))


def strong(text: Child) -> Markup:
    """Return the text in bold."""
    return tag("b", text)


def code(text: str, cls: str | None = None) -> Markup:
    """Return a name, a digest or a command in the fixed-width face."""
    return tag("code", text, cls=cls)


def words(template: str, /, **values: object) -> Words:
    """Return a sentence in both languages, as plain text. Values of type Words give each its own language."""
    return Words(
        template.format(**{k: v.en if isinstance(v, Words) else v for k, v in values.items()}),
        _zh(template).format(**{k: v.zh if isinstance(v, Words) else v for k, v in values.items()}),
    )


def both(template: str, /, **values: Child) -> Markup:
    """Return a sentence in both languages as markup; values are escaped unless they are Markup."""
    return _pair(_fill(template, values, "en"), _fill(_zh(template), values, "zh"))


def of_words(pair: Words) -> Markup:
    """Return a pair of texts as markup; one element only when both are the same."""
    return _pair(escape(pair.en, quote=False), escape(pair.zh, quote=False))


def _fill(template: str, values: dict[str, Child], lang: str) -> str:
    filled = {
        key: escape(value.en if lang == "en" else value.zh, quote=False)
        if isinstance(value, Words)
        else _render(value)
        for key, value in values.items()
    }
    return escape(template, quote=False).format(**filled)


def _pair(en: str, zh: str) -> Markup:
    if en == zh:
        return Markup(en)
    return Markup(f'<span lang="en">{en}</span><span lang="zh">{zh}</span>')


def table(
    head: list[Child],
    rows: list[list[Child]],
    *,
    cls: str = "",
    text_columns: int = 1,
    foot: list[Child] | None = None,
) -> Markup:
    """Return a table that scrolls sideways when narrow.

    Args:
        head: the column titles.
        rows: cells, row by row.
        cls: class of the table.
        text_columns: how many leading columns hold text; the others are numbers, set right.
        foot: a last row of totals.

    Returns:
        The table in its scrolling frame.
    """

    def row(cells: list[Child], cell: str) -> Markup:
        made = [
            tag(cell, child, cls="n" if i >= text_columns else None, scope="col" if cell == "th" else None)
            for i, child in enumerate(cells)
        ]
        return tag("tr", *made)

    parts = [tag("thead", row(head, "th")), tag("tbody", *(row(cells, "td") for cells in rows))]
    if foot is not None:
        parts.append(tag("tfoot", row(foot, "td")))
    return tag("div", tag("table", *parts, cls=cls or None), cls="scroll")
