"""A bar chart as SVG that reads well on a light page and on a dark one."""

from html import escape

WIDTH, LABEL, ROW, TOP = 860, 270, 28, 64
INIT, REQUEST = "#4f8fd6", "#e08a3c"
# GitHub shows an SVG as an image: it has no page colours to inherit, but it knows the reader's scheme.
STYLE = """text{font:13px system-ui,sans-serif;fill:#24292f}.small{font-size:12px;fill:#57606a}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#9da7b3}}"""


def bars(title: str, values: list[tuple[str, float, float]]) -> str:
    """One bar for each (name, INIT, INIT and the first request), in milliseconds."""
    height = TOP + ROW * len(values) + 12
    longest = max(cold for _, _, cold in values)
    scale = (WIDTH - LABEL - 90) / longest
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<text x="8" y="22" font-weight="bold">{escape(title)}</text>',
        legend(8, INIT, "INIT"),
        legend(90, REQUEST, "first request"),
    ]
    for at, (name, init, cold) in enumerate(values):
        y = TOP + at * ROW
        end = LABEL + cold * scale
        parts += [
            f'<text x="{LABEL - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>',
            rectangle(LABEL, y, init * scale, INIT),
            rectangle(LABEL + init * scale, y, (cold - init) * scale, REQUEST),
            f'<text class="small" x="{end + 6:.1f}" y="{y + 15}">{cold:.0f} ms</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def rectangle(x: float, y: float, width: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="20" fill="{colour}"/>'


def legend(x: float, colour: str, name: str) -> str:
    square = f'<rect x="{x}" y="36" width="12" height="12" fill="{colour}"/>'
    return f'{square}<text class="small" x="{x + 17}" y="47">{name}</text>'
