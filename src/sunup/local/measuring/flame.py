"""INIT as a flame graph: on the clock, with what runs beside, and by processor time."""

from collections.abc import Callable, Sequence
from html import escape

from .profile import Node, Profile

_WIDTH, _ROW, _TOP = 1180.0, 18.0, 62.0
_COLOURS = {
    "app": "#e08a3c",
    "sunup": "#3fb27f",
    "dependency": "#5b8fd9",
    "standard": "#7c8aa0",
    "runtime": "#a9b3c0",
    "work": "#b57edc",
}
_NAMES = {
    "app": "the app",
    "dependency": "dependencies",
    "standard": "standard library",
    "sunup": "sunup",
    "runtime": "Python and Lambda's runtime client",
    "work": "work, such as connecting",
}
# Of a scale, in milliseconds.
_STEPS = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 60_000)
# Narrower is not drawn; narrower than this has no name in it.
_LEAST, _NAMED = 0.4, 34.0
_STYLE = """text{font:11px system-ui,sans-serif;fill:#24292f}.t{font-size:13px;font-weight:600}
.n{fill:#fff;pointer-events:none}.axis{stroke:#8888}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.n{fill:#111}}"""


def flame(profile: Profile, title: str) -> str:
    """An SVG: each box is an import or a piece of work, as wide as it took, on what caused it."""
    lanes: list[tuple[str, list[Node]]] = [("INIT on the clock: the main thread", [profile.main])]
    lanes += [
        (f"beside it: {', '.join(_titles(nodes))}", nodes)
        for nodes in profile.beside
        if sum(each.length for each in nodes) >= 0.001
    ]
    parts: list[str] = []
    y = _TOP
    for name, nodes in lanes:
        y = _lane(parts, name, nodes, y, profile.init, on_clock=True)
    parts.append(_axis(profile.init, y))
    y += 26
    used = profile.main.processor or profile.init
    y = _lane(parts, "INIT of the processor: the main thread", [profile.main], y, used)
    parts.append(_axis(used, y))
    height = y + 24
    head = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:.0f} {height:.0f}" '
            'role="img">'
        ),
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<text class="t" x="4" y="18">{escape(title)}</text>',
        *_legend(),
    ]
    return "\n".join([*head, *parts, "</svg>", ""])


def _titles(nodes: Sequence[Node]) -> list[str]:
    work = sorted({each.name for each in nodes if each.kind == "work"})
    return work or ["imports"]


def _legend() -> list[str]:
    parts, x = [], 4.0
    for kind, name in _NAMES.items():
        parts += [
            f'<rect x="{x:.0f}" y="28" width="11" height="11" fill="{_COLOURS[kind]}"/>',
            f'<text x="{x + 15:.0f}" y="38">{name}</text>',
        ]
        x += 34 + 6.2 * len(name)
    return parts


def _lane(
    parts: list[str],
    name: str,
    nodes: Sequence[Node],
    y: float,
    whole: float,
    *,
    on_clock: bool = False,
) -> float:
    """Draw some trees below each other's names; returns where the next lane begins."""
    parts.append(f'<text x="4" y="{y + 10:.0f}">{escape(name)}</text>')
    y += 15
    scale = _WIDTH / whole
    deepest = [y]
    length: Callable[[Node], float] = (
        (lambda node: node.length) if on_clock else (lambda node: node.processor)
    )

    def draw(node: Node, x: float, top: float) -> None:
        width = length(node) * scale
        if width < _LEAST or x >= _WIDTH:
            return
        width = min(width, _WIDTH - x)
        deepest[0] = max(deepest[0], top + _ROW)
        told = (
            f"{node.name}: {node.length * 1000:.1f} ms, of the processor "
            f"{node.processor * 1000:.1f}; by itself {node.own * 1000:.1f}"
        )
        parts.append(
            f'<rect x="{x:.1f}" y="{top:.0f}" width="{max(0.3, width - 0.4):.1f}" '
            f'height="{_ROW - 1:.0f}" rx="1.5" fill="{_COLOURS[node.kind]}">'
            f"<title>{escape(told)}</title></rect>"
        )
        if width >= _NAMED:
            parts.append(
                f'<text class="n" x="{x + 3:.1f}" y="{top + 12.5:.1f}">'
                f"{escape(_cut(node.name, width))}</text>"
            )
        inner = x
        for child in node.children:
            draw(child, child.begin * scale if on_clock else inner, top + _ROW)
            inner += length(child) * scale

    along = 0.0
    for node in nodes:
        draw(node, node.begin * scale if on_clock else along, y)
        along += length(node) * scale
    return deepest[0] + 8


def _cut(name: str, width: float) -> str:
    room = int((width - 6) / 6)
    if len(name) <= room:
        return name
    last = name.rpartition(".")[2]
    return last if len(last) <= room else last[: max(1, room - 1)] + "…"


def _axis(whole: float, y: float) -> str:
    """A scale in milliseconds."""
    steps = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
    step = next((each for each in steps if whole * 1000 / each < 13), 10_000)
    marks = []
    at = 0
    while at <= whole * 1000:
        x = at / 1000 / whole * _WIDTH
        if x > _WIDTH - 40:
            break
        marks.append(
            f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 6:.0f}" y2="{y - 2:.0f}"/>'
            f'<text x="{x + 2:.1f}" y="{y + 6:.0f}">{at} ms</text>'
        )
        at += step
    return "".join(marks)
