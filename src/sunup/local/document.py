"""A page in one file, which loads nothing, and reads well in the light and in the dark."""

from collections.abc import Iterable
from html import escape

_STYLE = """:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse}th,td{padding:.2rem .9rem .2rem 0;text-align:right}
td{vertical-align:top}th{font-weight:600;border-bottom:1px solid #8884}
.left{text-align:left}.best{font-weight:600}code{font-size:.85em}
.note{opacity:.7;font-size:.85rem}svg{width:100%;height:auto}"""


def document(title: str, parts: Iterable[str]) -> str:
    """HTML of these parts; `title` is text."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style>\n"
        + "\n".join(parts)
        + "\n</html>\n"
    )


def table(
    head: Iterable[str],
    rows: Iterable[Iterable[str]],
    *,
    left: Iterable[int] = (0,),
    best: Iterable[int] = (),
) -> str:
    """A table of HTML's cells. Columns `left` are texts; rows `best` are written boldly."""
    texts, marked = set(left), set(best)

    def row(cells: Iterable[str], tag: str, mark: str = "") -> str:
        made = "".join(
            (f'<{tag} class="left">' if at in texts else f"<{tag}>") + f"{cell}</{tag}>"
            for at, cell in enumerate(cells)
        )
        return f"<tr{mark}>{made}</tr>"

    body = [
        row(cells, "td", ' class="best"' if at in marked else "") for at, cells in enumerate(rows)
    ]
    return f"<table>{row(head, 'th')}{''.join(body)}</table>"
