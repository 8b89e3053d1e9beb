"""Whether an app is on Aurora DSQL, and on which cluster, by its settings."""

from collections.abc import Mapping

from sunup.engines import DSQL, recognised


def is_used(environ: Mapping[str, str]) -> bool:
    """Whether DB_ENGINE or DB_HOST says that it is Aurora DSQL."""
    known = recognised(environ.get("DB_HOST", ""))
    return DSQL.name in (environ.get("DB_ENGINE"), known and known[0].name)


def of_host(host: str) -> str | None:
    """The identifier in an endpoint; None where it is not one of Aurora DSQL."""
    known = recognised(host)
    return host.lower().partition(".")[0] if known is not None and known[0] is DSQL else None
