"""What `sunup emulate` was told of the database, as each engine's own options."""

from sunup.local.emulator import (
    AuroraOptions,
    DsqlOptions,
    EmulatorOptions,
    NeonOptions,
    RdsProxyOptions,
)
from sunup.local.emulator.options import EngineName, HangAt

DEFAULTS = EmulatorOptions()


def options_of(
    engine: EngineName,
    *,
    port: int,
    pause_after: float,
    resume_seconds: float | None,
    hang_at: HangAt,
    max_acu: float,
    conflicts: float,
    sessions: int | None,
    borrow_timeout: float,
) -> EmulatorOptions:
    """Those of each database; times are in seconds. `resume_seconds` None: as each has it."""
    seconds = DEFAULTS.aurora.resume_seconds if resume_seconds is None else resume_seconds
    aurora = {
        "port": port,
        "pause_after": pause_after,
        "resume_seconds": seconds,
        "deep_resume_seconds": max(DEFAULTS.aurora.deep_resume_seconds, 2 * seconds),
        "max_acu": max_acu,
    }
    return EmulatorOptions(
        engine=engine,
        aurora=AuroraOptions(**aurora, hang_at=hang_at),  # type: ignore[arg-type]
        rds_proxy=RdsProxyOptions(
            **aurora,  # type: ignore[arg-type]
            hang_at=hang_at,
            sessions=sessions,
            borrow_timeout=borrow_timeout,
        ),
        dsql=DsqlOptions(
            port=port,
            idle_after=min(DEFAULTS.dsql.idle_after, pause_after / 2),
            inactive_after=pause_after,
            wake_seconds=seconds,
            conflicts=conflicts,
        ),
        neon=NeonOptions(
            port=port,
            pause_after=pause_after,
            resume_seconds=(
                DEFAULTS.neon.resume_seconds if resume_seconds is None else resume_seconds
            ),
            pool_size=sessions,
            borrow_timeout=borrow_timeout,
        ),
    )
