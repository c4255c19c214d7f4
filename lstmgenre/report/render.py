"""A document as Markdown, and as one HTML file that needs nothing but a browser."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape as escape_markup
from typing import NamedTuple
from urllib.parse import quote

from lstmgenre import text
from lstmgenre.report.results import ReportTable


class Plot(NamedTuple):
    """A figure that was drawn; it goes into `name`.png and `name`.svg. `alt` says in words what it shows."""

    name: str
    caption: str
    alt: str
    png: bytes
    svg: bytes
    dark_svg: bytes


class Code(NamedTuple):
    """Lines to type."""

    lines: Sequence[str]


Block = str | ReportTable | Plot | Code  # str: a paragraph of plain text


class Section(NamedTuple):
    title: str
    blocks: Sequence[Block]


def markdown(title: str, sections: Sequence[Section]) -> str:
    """The document in Markdown; its figures are links to the files beside it."""
    parts = [f"# {text.markdown(title)}"]
    for section in sections:
        parts += [f"## {text.markdown(section.title)}", *map(_markdown_block, section.blocks)]
    return "\n\n".join(parts) + "\n"


def _markdown_block(block: Block) -> str:
    match block:
        case str():
            return text.markdown_paragraph(block)
        case Code(lines):
            return text.markdown_code(lines)
        case Plot():
            image = f"![{text.markdown(block.alt)}]({quote(block.name)}.svg)"
            return f"{image}\n\n{text.markdown_paragraph(block.caption)}"
        case ReportTable():
            rule = [":--", *["--:"] * (len(block.head) - 1)]
            rows = [block.head, rule, *block.rows]
            shown = (f"| {' | '.join(map(text.markdown, row))} |" for row in rows)
            return "\n".join([f"**{text.markdown(block.title)}**", "", *shown])


# The policy keeps the promise that the file needs nothing else: a browser would refuse to load it.
_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ --paper: #fff; --ink: #1d2329; --faint: #59636e; --line: #d5dade; --shade: #f4f6f8; --link: #0b5cad }}
@media (prefers-color-scheme: dark) {{
  :root {{ --paper: #14181c; --ink: #dde3e8; --faint: #9aa5b0; --line: #3a434b; --shade: #1d2329; --link: #7cb8f2 }}
}}
body {{ margin: 0 auto; padding: 1.5rem; max-width: 66rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif }}
h1 {{ font-size: 1.7rem; line-height: 1.25 }}
h2 {{ margin-top: 2.5rem; padding-top: .6rem; border-top: 1px solid var(--line); font-size: 1.25rem }}
p {{ max-width: 46rem }}
a {{ color: var(--link) }}
nav ul {{ display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; margin: 0; padding: 0; list-style: none }}
.wide {{ overflow-x: auto; margin: 1.2rem 0 }}
.wide:focus-visible {{ outline: 2px solid var(--link); outline-offset: 2px }}
table {{ border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums }}
caption {{ padding: .3rem 0; text-align: left; font-weight: 600 }}
th, td {{ padding: .3rem .75rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap }}
th:first-child {{ position: sticky; left: 0; background: var(--paper); text-align: left }}
thead th, thead th:first-child {{ background: var(--shade) }}
tbody th {{ font-weight: 400 }}
tbody tr:hover {{ background: var(--shade) }}
figure {{ margin: 1.5rem 0 }}
figure img {{ max-width: 100%; height: auto }}
@media (max-width: 44rem) {{ figure img {{ max-width: 40rem }} }}
figcaption {{ max-width: 46rem; color: var(--faint); font-size: .875rem }}
pre {{ padding: .8rem 1rem; background: var(--shade); font-size: .8rem; line-height: 1.6 }}
</style>
</head>
<body>
<h1>{title}</h1>
"""


def html(title: str, sections: Sequence[Section]) -> str:
    """The document as one HTML page with its figures inside, in the reader's light or dark colours."""
    links = "".join(f'<li><a href="#s{k}">{_escape(section.title)}</a></li>' for k, section in enumerate(sections))
    parts = [_HEAD.format(title=_escape(title)), f'<nav aria-label="Sections"><ul>{links}</ul></nav>\n<main>\n']
    for k, section in enumerate(sections):
        blocks = "\n".join(map(_html_block, section.blocks))
        parts.append(
            f'<section aria-labelledby="s{k}">\n<h2 id="s{k}">{_escape(section.title)}</h2>\n{blocks}\n</section>\n'
        )
    return "".join([*parts, "</main>\n</body>\n</html>\n"])


def _escape(content: str) -> str:
    return escape_markup(text.visible(content))


def _html_block(block: Block) -> str:
    match block:
        case str():
            return f"<p>{_escape(block)}</p>"
        case Code(lines):
            return _scrolling("Commands", f"<pre><code>{chr(10).join(map(_escape, lines))}</code></pre>")
        case Plot():
            picture = (
                f'<picture><source media="(prefers-color-scheme: dark)" srcset="{_data_uri(block.dark_svg)}">'
                f'<img src="{_data_uri(block.svg)}" alt="{_escape(block.alt)}"></picture>'
            )
            scrolling = _scrolling(block.name, picture)
            return f"<figure>{scrolling}<figcaption>{_escape(block.caption)}</figcaption></figure>"
        case ReportTable():
            head = "".join(f'<th scope="col">{_escape(cell)}</th>' for cell in block.head)
            rows = "\n".join(f"<tr>{_html_row(row)}</tr>" for row in block.rows)
            return _scrolling(
                block.title,
                f"<table><caption>{_escape(block.title)}</caption>\n<thead><tr>{head}</tr></thead>\n"
                f"<tbody>\n{rows}\n</tbody></table>",
            )


def _html_row(row: Sequence[str]) -> str:
    first, *others = map(_escape, row)
    return f'<th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in others)


def _scrolling(label: str, content: str) -> str:
    # What scrolls must be reachable from the keyboard, and then needs a name.
    return f'<div class="wide" role="region" tabindex="0" aria-label="{_escape(label)}">{content}</div>'


def _data_uri(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode('ascii')}"
