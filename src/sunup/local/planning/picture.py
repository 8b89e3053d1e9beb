"""A week of the plan as an SVG that reads well on a light page and on a dark one."""

from html import escape

from .simulation import Run
from .traffic import DAY, WEEKDAYS, Arrivals

_WIDTH, _LEFT, _TOP, _ROW = 960.0, 48.0, 62.0, 36.0
# Of a day: when it is awake, and below that when requests come.
_BAR, _TICK = 18.0, 10.0
_HOUR = (_WIDTH - _LEFT - 24) / 24
_AWAKE, _RESUMING, _REQUEST, _WAIT = "#3fb27f", "#f2b33d", "#6b7a90", "#d9534f"

# GitHub shows an SVG as an image: it has no page colours to inherit, but it knows the reader's
# scheme.
_STYLE = """text{font:13px system-ui,sans-serif;fill:#24292f}.small{font-size:11px;fill:#57606a}
.night{fill:#e9edf3}.line{stroke:#57606a;stroke-opacity:.25}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#9da7b3}.night{fill:#22272e}}"""


def week(run: Run, arrivals: Arrivals, title: str) -> str:
    """When the database is awake, when requests come, and who waits, in the first whole week."""
    first = int(-(-run.start // (7 * DAY)))
    zero = first * 7 * DAY
    if zero + 7 * DAY > run.start + run.seconds:  # a log of less than a week
        zero = run.start // DAY * DAY
    height = _TOP + 7 * _ROW + 26
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:.0f} {height:.0f}" '
            'role="img">'
        ),
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<text x="{_LEFT}" y="20" font-weight="bold">{escape(title)}</text>',
        *_legend(),
    ]
    for row in range(7):
        parts += _day(run, arrivals, zero + row * DAY, row)
    for hour in range(0, 25, 3):
        x = _LEFT + hour * _HOUR
        parts += [
            (
                f'<line class="line" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 4}" '
                f'y2="{_TOP + 7 * _ROW}"/>'
            ),
            (
                f'<text class="small" x="{x:.1f}" y="{height - 8:.0f}" text-anchor="middle">'
                f"{hour}:00</text>"
            ),
        ]
    return "\n".join([*parts, "</svg>", ""])


def _legend() -> list[str]:
    parts, x = [], _LEFT
    names = (
        (_AWAKE, "awake"),
        (_RESUMING, "resuming"),
        (_REQUEST, "a request"),
        (_WAIT, "one that waits"),
    )
    for colour, name in names:
        parts += [
            f'<rect x="{x:.0f}" y="34" width="12" height="12" fill="{colour}"/>',
            f'<text class="small" x="{x + 17:.0f}" y="44">{name}</text>',
        ]
        x += 34 + 7 * len(name)
    return parts


def _day(run: Run, arrivals: Arrivals, begin: float, row: int) -> list[str]:
    y = _TOP + row * _ROW
    end = begin + DAY
    name = WEEKDAYS[int(begin // DAY) % 7].capitalize()
    parts = [
        f'<text x="8" y="{y + 14:.0f}">{name}</text>',
        (
            f'<rect class="night" x="{_LEFT}" y="{y:.0f}" width="{24 * _HOUR:.1f}" '
            f'height="{_BAR:.0f}"/>'
        ),
    ]
    for woken, ready, over in run.awake:
        if woken < end and over > begin:
            parts.append(_bar(begin, woken, over, y, _AWAKE))
            if ready > begin and ready > woken:
                # A resume of 15 s is a sixth of a pixel: it is drawn as wide as can be seen.
                shown = max(ready, woken + 1.5 / _HOUR * 3600)
                parts.append(_bar(begin, woken, shown, y, _RESUMING))
    waiting = {round(at, 3) for at, _ in run.waits}
    here = [at for at in arrivals.times if begin <= at < end]
    for colour, wide, which in (
        (_REQUEST, 1.0, [at for at in here if round(at, 3) not in waiting]),
        (_WAIT, 1.6, [at for at in here if round(at, 3) in waiting]),
    ):
        places = sorted({round(_LEFT + (at - begin) / 3600 * _HOUR, 1) for at in which})
        if places:
            path = "".join(f"M{x} {y + _BAR:.0f}v{_TICK:.0f}" for x in places)
            parts.append(f'<path d="{path}" stroke="{colour}" stroke-width="{wide}" fill="none"/>')
    return parts


def _bar(begin: float, start: float, end: float, y: float, colour: str) -> str:
    left = max(start, begin)
    right = min(end, begin + DAY)
    x = _LEFT + (left - begin) / 3600 * _HOUR
    width = max(0.0, (right - left) / 3600 * _HOUR)
    return (
        f'<rect x="{x:.1f}" y="{y:.0f}" width="{width:.2f}" height="{_BAR:.0f}" fill="{colour}"/>'
    )


_SHADES = " ░▒▓█"


def strip(run: Run, cells: int = 48) -> list[tuple[str, str]]:
    """The same for a terminal: of each day its name and a cell for each part of it."""
    first = int(-(-run.start // (7 * DAY))) * 7
    if (first + 7) * DAY > run.start + run.seconds:
        first = int(run.start // DAY)
    lines = []
    for day in range(first, first + 7):
        shares = [0.0] * cells
        size = DAY / cells
        for woken, _, over in run.awake:
            begin, end = max(woken, day * DAY), min(over, (day + 1) * DAY)
            at = begin
            while at < end:
                cell = min(cells - 1, int((at - day * DAY) // size))
                until = min(end, day * DAY + (cell + 1) * size)
                shares[cell] += (until - at) / size
                at = until if until > at else at + size
        text = "".join(_SHADES[min(4, -int(-share * 4 // 1))] for share in shares)
        lines.append((WEEKDAYS[day % 7].capitalize(), text))
    return lines
