"""The report in sentences."""

from .report import Report


def title_of(report: Report) -> str:
    """What was measured."""
    return f"{report.app}: GET {report.path}"


def findings(report: Report) -> list[str]:
    """What a reader wants to know first."""
    best = report.at(report.recommended)
    cold = (
        f"A cold response takes {best.cold:.0f} ms with {best.memory} MB, {best.init:.0f} of it "
        f"INIT. A warm one takes {best.warm_p50:.1f} ms, one in a hundred {best.warm_p99:.0f}."
    )
    lines = [cold]
    lines.append(
        f"INIT uses {report.init_processor_ms:.0f} ms of the processor, the process "
        f"{best.peak_mb:.0f} MB at most; the package has {report.zipped / 1e6:.1f} MB "
        f"({report.unpacked / 1e6:.1f} unpacked)."
    )
    if report.shares and len(report.memories) > 1:
        lines.append(
            f"Best is {best.memory} MB: the fastest of those that cost about the least, "
            f"${best.dollars:.2f} for a million requests, one in a hundred of them cold."
        )
    if report.work:
        work = ", ".join(f"{name} {clock:.0f} ms" for name, clock, _ in report.work)
        lines.append(f"Besides importing, INIT does: {work}.")
    if report.to_move:
        moved = ", ".join(f"{name} ({length:.1f} ms)" for name, length in report.to_move[:5])
        lines.append(
            f"The first request imports {moved}, of a share of the processor: import that in a "
            "module, or prime a path that needs it (docs/handler.md)."
        )
    return lines
