"""How many connections a cluster takes."""

# Of Aurora DSQL; the quota can be raised (its User Guide, "Cluster quotas and database limits").
DSQL_CONNECTIONS = 10_000

# With a minimum of 0 or 0.5 ACU (Aurora User Guide, "Setting the capacity range").
CONNECTIONS_CAP = 2000


def connection_limit(max_acu: float) -> int:
    """The default of `max_connections` for a maximum ACU.

    189, 823, 1,669 and 3,360 for 1, 4, 8 and 16 ACU lie on a line (Aurora User Guide, "Maximum
    connections for Aurora Serverless v2"); capped, since express clusters pause at zero.
    """
    return min(CONNECTIONS_CAP, int(189.5 + (max(max_acu, 1) - 1) * 211.4))
