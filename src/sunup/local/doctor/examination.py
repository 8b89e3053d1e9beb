"""The checks, in the order in which a connection comes about."""

from collections.abc import Callable

from . import account, dsql, login, network
from .finding import Examination, Finding, Findings

__all__ = ["CHECKS", "Examination", "Finding"]

CHECKS: list[tuple[str, Callable[[Examination], Findings]]] = [
    ("the settings", network.settings),
    ("DNS", network.name),
    ("TCP and TLS (a sleeping database takes longer)", network.certificate),
    ("the clock", account.clock),
    ("the credentials", account.credentials),
    ("the identity", account.identity),
    ("the cluster", dsql.cluster),
    ("the IAM policies", account.policy),
    ("the login (a sleeping database takes 15 to 40 s)", login.login),
    ("the role", login.role),
    ("the idle timeout", login.idle_timeout),
    ("the migrations", login.migrations),
    ("connections and concurrency", account.concurrency),
]
