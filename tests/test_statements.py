import pytest

from sunup.statements import Change, Effect, effect_of


@pytest.mark.parametrize(
    "text",
    [
        "select id, name from users where email = $1 and (id in (1, 2))",
        "SELECT count(*), max(id) FROM users",
        "-- insert into\nselect 'delete from users' /* update */",
        "with recent as (select 1) select * from recent",
        "begin isolation level serializable",
        "set local statement_timeout = 100",
        "show search_path",
    ],
)
def test_a_reading_changes_nothing(text: str) -> None:
    assert effect_of(text).change is Change.NOTHING


@pytest.mark.parametrize(
    "text",
    [
        "insert into users values (1)",
        "  Update users set a = 1",
        "with gone as (delete from users returning *) select * from gone",
        "select * from users for update",
        "select 1; truncate users",
        "call charge()",
        "do $$ begin end $$",
        "explain analyze insert into users values (1)",
        "copy users from stdin",
        r"select E'it\'s', insert_all from t",
        "refresh materialized view v",
        "unheard of",
    ],
)
def test_what_may_write_counts_as_a_change(text: str) -> None:
    assert effect_of(text).change is Change.YES


@pytest.mark.parametrize("text", ["select charge($1)", "select my.next_number ()"])
def test_a_function_of_the_app_s_own_cannot_be_told(text: str) -> None:
    assert effect_of(text).change is Change.PERHAPS


def test_the_ends_of_transactions_are_known() -> None:
    assert effect_of("COMMIT;").commits
    assert effect_of("end").commits
    assert effect_of("prepare transaction 'x'").commits
    assert effect_of("insert into t values (1); commit").commits
    assert effect_of("ROLLBACK;").rolls_back
    assert not effect_of("ROLLBACK TO SAVEPOINT a").rolls_back
    assert not effect_of("rollback; insert into t values (1)").rolls_back


@pytest.mark.parametrize(
    "text",
    [
        "set role admin",
        "set search_path = x",
        "listen news",
        "select set_config('a', 'b', false)",
        "select pg_advisory_lock(1)",
        "create temp table t (id int)",
        "declare c cursor with hold for select 1",
    ],
)
def test_what_stays_with_the_session_is_known(text: str) -> None:
    assert effect_of(text).session


def test_what_ends_with_the_transaction_does_not_stay() -> None:
    assert not effect_of("set local role admin").session
    assert not effect_of("set transaction read only").session
    assert not effect_of("select pg_advisory_xact_lock(1)").session
    assert not effect_of("update t set a = 1").session


def test_prepared_statements_of_sql_s_own_need_a_new_session() -> None:
    assert effect_of("prepare p as select 1").replaces
    assert effect_of("discard all").replaces


def test_statements_sent_together_do_what_each_of_them_does() -> None:
    both = Effect.together([effect_of("begin"), effect_of("insert into t values (1)")])
    assert both.begins
    assert both.change is Change.YES
    assert not both.rolls_back
    assert Effect.together([]).change is Change.NOTHING
