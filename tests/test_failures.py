import re
import socket
import ssl
from pathlib import Path

import asyncpg
import psycopg
import pytest

from sunup import failures
from sunup.asyncpg.meaning import MEANING as ASYNCPG
from sunup.connecting.meaning import Meaning
from sunup.failures import DatabaseUnavailable, plain_text
from sunup.psycopg.meaning import MEANING as PSYCOPG


def meaning_of(error: BaseException) -> Meaning:
    return PSYCOPG if isinstance(error, psycopg.Error) else ASYNCPG


def asyncpg_error(state: str, text: str, detail: str | None = None) -> BaseException:
    fields = {"C": state, "M": text, "S": "FATAL", "V": "FATAL"}
    if detail:
        fields["D"] = detail
    error: BaseException = asyncpg.PostgresError.new(fields)
    return error


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (asyncpg_error("53300", "sorry, too many clients already"), failures.DatabaseFull),
        (asyncpg_error("57P03", "the database system is starting up"), failures.DatabaseResuming),
        (asyncpg_error("28000", 'PAM authentication failed for user "a"'), failures.TokenRefused),
        (asyncpg_error("28000", "no pg_hba.conf entry for host"), failures.AccessRefused),
        (asyncpg_error("28P01", "password authentication failed"), failures.PasswordRefused),
        (asyncpg_error("3D000", 'database "x" does not exist'), failures.DatabaseMissing),
        (TimeoutError(), failures.DatabaseResuming),
        (ConnectionRefusedError(111, "refused"), failures.DatabaseUnreachable),
        (ConnectionResetError(), failures.DatabaseUnreachable),
        (socket.gaierror(-2, "Name or service not known"), failures.DatabaseUnreachable),
        (ssl.SSLCertVerificationError("certificate verify failed"), failures.TLSFailed),
        (psycopg.OperationalError('FATAL:  PAM authentication failed for user "a"'), failures.TokenRefused),
        (psycopg.OperationalError("FATAL:  sorry, too many clients already"), failures.DatabaseFull),
        (psycopg.OperationalError("FATAL:  remaining connection slots are reserved"), failures.DatabaseFull),
        (psycopg.OperationalError('FATAL:  database "x" does not exist'), failures.DatabaseMissing),
        (psycopg.OperationalError("connection timeout expired"), failures.DatabaseResuming),
        (psycopg.OperationalError("failed to resolve host 'x'"), failures.DatabaseUnreachable),
        (psycopg.OperationalError("SSL error: certificate verify failed"), failures.TLSFailed),
        (psycopg.OperationalError('FATAL:  password authentication failed for user "a"'), failures.PasswordRefused),
    ],
)  # fmt: skip
def test_a_failed_attempt_to_connect_has_a_name(
    error: BaseException, meaning: type[DatabaseUnavailable]
) -> None:
    failure = meaning_of(error).while_connecting(error)
    assert type(failure) is meaning
    assert failure.nothing_executed


DENIED = "unable to accept connection, access denied"
EXPIRED = "Signature expired: 20261126T080000Z is now earlier than 20261126T081500Z"
WRONG = "Wrong user to action mapping. user: admin, action: DbConnect"


def dsql_error(text: str, state: str, hint: str | None, driver: str) -> BaseException:
    """As Aurora DSQL refuses a connection; libpq gives a failed connect no SQLSTATE."""
    if driver == "psycopg":
        more = f"\nHINT:  {hint}" if hint else ""
        return psycopg.OperationalError(f"connection failed: FATAL:  {text}{more}")
    fields = {"C": state, "M": text, "S": "FATAL", "V": "FATAL"}
    error: BaseException = asyncpg.PostgresError.new({**fields, **({"H": hint} if hint else {})})
    return error


# Aurora DSQL User Guide, "Troubleshooting" and "Cluster quotas"; awslabs/agent-plugins,
# plugins/databases-on-aws/skills/dsql ("observed on a live cluster 2026-10-01").
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
@pytest.mark.parametrize(
    ("text", "state", "hint", "meaning", "patience"),
    [
        (DENIED, "08006", EXPIRED, failures.TokenRefused, 1.0),
        (DENIED, "08006", WRONG, failures.TokenRefused, 0.0),
        (DENIED, "08006", None, failures.TokenRefused, 0.0),
        ("unable to accept connection, waking up cluster, please retry later", "08006", None, failures.DatabaseResuming, failures.FOREVER),
        ("Unable to accept connection, too many open connections.", "53300", None, failures.DatabaseFull, 5.0),
        ("Unable to accept connection, rate exceeded.", "53400", None, failures.ConnectionsThrottled, 10.0),
        ("unable to accept connection, sni was not received", "08006", None, failures.AccessRefused, 0.0),
    ],
)  # fmt: skip
def test_what_aurora_dsql_says_when_it_takes_no_connection(
    text: str,
    state: str,
    hint: str | None,
    meaning: type[DatabaseUnavailable],
    patience: float,
    driver: str,
) -> None:
    error = dsql_error(text, state, hint, driver)
    failure = meaning_of(error).while_connecting(error)
    assert type(failure) is meaning
    assert failure.patience == patience
    assert hint is None or hint in str(failure)
    if meaning is failures.TokenRefused:
        assert "dsql:DbConnect" in str(failure)
        assert "rds_iam" not in str(failure)
    assert failures.TokenRefused.patience == 1.0
    assert "rds_iam" in failures.TokenRefused.cure


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
@pytest.mark.parametrize(
    ("text", "state", "cure"),
    [
        ('setting configuration parameter "statement_timeout" not supported', "0A000", "DB_ENGINE=dsql"),
        ("unable to accept connection, sni was not received", "08006", "the cluster's endpoint"),
    ],
)  # fmt: skip
def test_aurora_dsql_under_another_name_is_told_how_to_be_known(
    text: str, state: str, cure: str, driver: str
) -> None:
    error = dsql_error(text, state, None, driver)
    failure = meaning_of(error).while_connecting(error)
    assert type(failure) is failures.AccessRefused
    assert cure in str(failure)
    assert cure not in failures.AccessRefused.cure


def test_server_unavailable_is_no_answer_to_a_commit() -> None:
    failure = ASYNCPG.while_using(asyncpg_error("XX000", "server unavailable"), closed=False)
    assert isinstance(failure, failures.ConnectionLost)
    assert not failure.nothing_executed
    assert ASYNCPG.while_using(asyncpg_error("XX000", "cache lookup failed"), closed=False) is None


def test_a_bug_is_not_taken_for_the_database_s_failure() -> None:
    for meaning in (ASYNCPG, PSYCOPG):
        assert meaning.while_connecting(KeyError("x")) is None
        assert meaning.while_using(ValueError("x"), closed=True) is None


def test_a_statement_s_own_error_stays_what_it_is() -> None:
    assert ASYNCPG.while_using(asyncpg_error("23505", "duplicate key"), closed=False) is None


def test_a_session_that_the_server_ended_is_a_lost_connection() -> None:
    failure = ASYNCPG.while_using(asyncpg_error("57P01", "terminating connection"), closed=True)
    assert isinstance(failure, failures.ConnectionLost)
    assert not failure.nothing_executed


def test_an_idle_session_that_timed_out_has_executed_nothing() -> None:
    failure = ASYNCPG.while_using(asyncpg_error("57P05", "idle-session timeout"), closed=True)
    assert isinstance(failure, failures.ConnectionLost)
    assert failure.nothing_executed


def test_a_rollback_on_a_dead_connection_does_not_hide_the_reason() -> None:
    try:
        try:
            raise asyncpg_error("57P05", "idle-session timeout")
        except asyncpg.PostgresError:
            raise asyncpg.InterfaceError("connection is closed")
    except asyncpg.InterfaceError as error:
        failure = ASYNCPG.while_using(error, closed=True)
    assert isinstance(failure, failures.ConnectionLost)
    assert failure.nothing_executed


def test_a_write_on_a_read_only_server_is_told_apart() -> None:
    failure = ASYNCPG.while_using(asyncpg_error("25006", "cannot execute INSERT"), closed=False)
    assert isinstance(failure, failures.DatabaseReadOnly)


def test_a_refused_token_lists_the_six_things_that_it_can_mean() -> None:
    failure = ASYNCPG.while_connecting(
        asyncpg_error("28000", 'PAM authentication failed for user "a"')
    )
    assert re.findall(r"\((\d)\)", str(failure)) == ["1", "2", "3", "4", "5", "6"]


def all_failures() -> list[type[DatabaseUnavailable]]:
    return [DatabaseUnavailable, *DatabaseUnavailable.__subclasses__()]


@pytest.mark.parametrize("kind", all_failures())
def test_each_failure_has_a_code_of_its_own_a_message_and_a_cure(
    kind: type[DatabaseUnavailable],
) -> None:
    assert re.fullmatch(r"[a-z_]+", kind.code)
    assert [each.code for each in all_failures()].count(kind.code) == 1
    assert kind.message
    assert kind.cure.endswith(".")


@pytest.mark.parametrize(
    "kind", [each for each in all_failures() if each.__module__ == "sunup.failures"]
)
def test_each_failure_is_documented(kind: type[DatabaseUnavailable]) -> None:
    text = (Path(__file__).parent.parent / "docs" / "failures.md").read_text()
    assert f"`{kind.code}`" in text


def test_a_log_text_holds_no_values_of_rows() -> None:
    detail = "Key (email)=(someone@example.com) already exists."
    error = asyncpg_error("23505", "duplicate key value violates unique constraint", detail)
    assert "someone" in str(error)
    assert plain_text(error) == "duplicate key value violates unique constraint"
    invalid = asyncpg_error("22P02", 'invalid input syntax for type uuid: "someone"')
    assert plain_text(invalid) == "InvalidTextRepresentationError, SQLSTATE 22P02"
