"""The report as a page."""

from html import escape

from sunup.local.document import document, table

from .flame import flame
from .profile import Profile
from .report import Report
from .words import findings, title_of


def page(report: Report, profile: Profile) -> str:
    """HTML."""
    parts = [
        f"<h1>{escape(title_of(report))}</h1>",
        "<ul>",
        *(f"<li>{escape(each)}</li>" for each in findings(report)),
        "</ul>",
        "<h2>Memory</h2>",
        _memories(report),
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
    return document(title_of(report), parts)


def _memories(report: Report) -> str:
    rows = [
        (
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
        for each in report.memories
    ]
    head = (
        *("memory", "INIT ms", "first request ms", "cold response ms", "warm p50 ms", "p95"),
        *("p99", "processor ms", "peak MB", "a million requests"),
    )
    best = [each.memory for each in report.memories].index(report.recommended)
    return table(head, rows, left=(), best=[best])


def _imports(report: Report) -> str:
    rows = [
        (
            f"<code>{escape(each.module)}</code>",
            f"{each.saved_ms:.1f}",
            f"{each.saved_processor_ms:.1f}",
            f"{each.modules}",
            f"<code>{escape(' → '.join(each.chain))}</code>",
            escape(each.advice),
        )
        for each in report.imports
    ]
    head = (
        *("import", "saves ms", "of the processor", "modules", "why it is there", "what to do"),
    )
    return table(head, rows, left=(0, 4, 5))


def _parts(report: Report) -> str:
    rows = [
        (
            escape(each.name),
            escape(each.version),
            f"{each.zipped / 1e6:.2f}",
            f"{each.unpacked / 1e6:.2f}",
        )
        for each in report.parts
    ]
    return table(("part", "version", "zipped MB", "MB"), rows)
