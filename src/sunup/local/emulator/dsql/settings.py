"""Which settings a session may be given: at its start, by SET, RESET and set_config.

Recorded from a live cluster (Dreamescaper/dsql-emulator, golden answers of 2026-09): refused are
statement_timeout, lc_numeric, role, default_transaction_isolation. Accepted: those below, and RESET
ALL. What else is accepted is not recorded: refused here, the cautious side.
"""

from .messages import Failure

# In lower case.
_ACCEPTED = {
    "application_name",
    "bytea_output",
    "client_encoding",
    "datestyle",
    "extra_float_digits",
    "intervalstyle",
    "search_path",
    "timezone",
}

# Of a start-up message, beside settings.
_NO_SETTINGS = {"user", "database", "replication", "options"}

# The cluster, where TLS does not name it (DSQLUG, PrivateLink).
_CLUSTER = "amzn-cluster-id"


def refused(name: str) -> Failure | None:
    """Why a setting may not be set."""
    if name.lower() in _ACCEPTED:
        return None
    return Failure("0A000", f'setting configuration parameter "{name}" not supported')


def refused_at_start(parameters: dict[str, str]) -> Failure | None:
    """Why a session may not begin with what its start-up message says."""
    names = [
        name
        for name in parameters
        if name.lower() not in _NO_SETTINGS and not name.startswith("_pq_.")
    ]
    for name in [*names, *_of_options(parameters.get("options", ""))]:
        failure = refused(name)
        if failure is not None:
            return failure
    return None


def names_cluster(options: str) -> bool:
    """Whether the options say which cluster is meant, as a client without SNI may."""
    return any(name == _CLUSTER for name, _ in _pairs(options))


def without_cluster(options: str) -> str:
    """The options as the server behind may get them."""
    kept = [f"-c {name}={value}" for name, value in _pairs(options) if name != _CLUSTER]
    return " ".join(kept)


def _of_options(options: str) -> list[str]:
    return [name for name, _ in _pairs(options) if name != _CLUSTER]


def _pairs(options: str) -> list[tuple[str, str]]:
    """Of `-c name=value --name=value`; a space in a value is escaped, as PostgreSQL has it."""
    words = options.replace("\\ ", "\0").split()
    found = []
    for word, after in zip(words, [*words[1:], ""], strict=False):
        if word == "-c":
            found.append(after)
        elif word.startswith(("-c", "--")):
            found.append(word[2:])
    made = []
    for each in found:
        name, _, value = each.partition("=")
        made.append((name, value.replace("\0", "\\ ")))
    return made
