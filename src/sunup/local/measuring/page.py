"""The report as a page: one file, which loads nothing."""

from html import escape

from .flame import flame
from .profile import Profile
from .report import Report
from .words import findings, title_of

_STYLE = """:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse}td,th{padding:.2rem .9rem .2rem 0;text-align:right}
td{vertical-align:top}
.left{text-align:left}th{font-weight:600;border-bottom:1px solid #8884}.best{font-weight:600}
.note{opacity:.7;font-size:.85rem}svg{width:100%;height:auto}code{font-size:.85em}"""


def page(report: Report, profile: Profile) -> str:
    """HTML."""
    parts = [
        f"<h1>{escape(title_of(report))}</h1>",
        "<ul>",
        *(f"<li>{escape(each)}</li>" for each in findings(report)),
        "</ul>",
        "<h2>Memory</h2>",
        _memories(report),
    ]
    parts += [
        "<h2>INIT</h2>",
        flame(profile, "A box is an import or a piece of work, below what caused it"),
        "<h2>The dearest imports</h2>",
        _imports(report),
    ]
    if report.parts:
        parts += ["<h2>The package</h2>", _parts(report)]
    parts += [f'<p class="note">{escape(each)}</p>' for each in report.notes]
    parts.append(
        f'<p class="note">{escape(report.machine)}, Python {escape(report.python)}, '
        f"{escape(report.date)}; medians of {report.starts} starts with {report.requests} warm "
        "requests each.</p>"
    )
    title = escape(title_of(report))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style>\n" + "\n".join(parts) + "\n</html>\n"
    )


def _memories(report: Report) -> str:
    rows = []
    for each in report.memories:
        mark = ' class="best"' if each.memory == report.recommended else ""
        cells = (
            f"{each.memory} MB",
            f"{each.init:.0f}",
            f"{each.first:.0f}",
            f"{each.cold:.0f}",
            f"{each.warm_p50:.1f}",
            f"{each.warm_p95:.1f}",
            f"{each.warm_p99:.1f}",
            f"{each.warm_processor:.2f}",
            f"{each.peak_mb:.0f}",
            f"${each.dollars:.2f}",
        )
        rows.append(f"<tr{mark}>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(
        f"<th>{name}</th>"
        for name in (
            "memory",
            "INIT ms",
            "first request ms",
            "cold response ms",
            "warm p50 ms",
            "p95",
            "p99",
            "processor ms",
            "peak MB",
            "a million requests",
        )
    )
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _imports(report: Report) -> str:
    rows = [
        f'<tr><td class="left"><code>{escape(each.module)}</code></td>'
        f"<td>{each.saved_ms:.1f}</td><td>{each.saved_processor_ms:.1f}</td>"
        f"<td>{each.modules}</td>"
        f'<td class="left"><code>{escape(" → ".join(each.chain))}</code></td>'
        f'<td class="left">{escape(each.advice)}</td></tr>'
        for each in report.imports
    ]
    head = (
        '<tr><th class="left">import</th><th>saves ms</th><th>of the processor</th>'
        '<th>modules</th><th class="left">why it is there</th><th class="left">what to do</th></tr>'
    )
    return f"<table>{head}{''.join(rows)}</table>"


def _parts(report: Report) -> str:
    rows = [
        f'<tr><td class="left">{escape(each.name)}</td><td>{escape(each.version)}</td>'
        f"<td>{each.zipped / 1e6:.2f}</td><td>{each.unpacked / 1e6:.2f}</td></tr>"
        for each in report.parts
    ]
    head = '<tr><th class="left">part</th><th>version</th><th>zipped MB</th><th>MB</th></tr>'
    return f"<table>{head}{''.join(rows)}</table>"
