import pytest

from sunup import request
from sunup.connecting.session import Session
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
        r"select 'it\'s', insert_all from t",
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


@pytest.mark.parametrize(
    "text",
    [
        """with n as (select 1 as "o'clock") insert into t values ('x')""",
        """with n as (select 1 as "a--b") insert into t values (1)""",
        """with n as (select 1 as "a/*b") insert into t values (1) -- */""",
        "with n as (select $$it's$$ as q) insert into t values ('x')",
        "select $q$it's$q$; insert into t values ('x')",
        "/* /* */ ' */ ; insert into t values (1) --'",
        "select 1 /* /* */ -- */ ; insert into t values (1)",
        "copy (delete from jobs returning id) to stdout",
        "commit prepared 'x'",
        "select u&'d\\0061t'",
        'select 1 as "never closed',
    ],
)
def test_a_change_is_not_hidden_by_quotes_or_comments(text: str) -> None:
    assert effect_of(text).change is Change.YES


@pytest.mark.parametrize(
    "text",
    [
        """select 1 as "it's", writes() as "it's_too" """,
        "select $q$it's$q$, writes(), $q$it's$q$",
        "select app . now()",
        'select "Count"(x) from t',
        "declare k cursor for select writes()",
        "copy (select writes()) to stdout",
    ],
)
def test_a_call_is_not_hidden_by_quotes_or_spaces(text: str) -> None:
    assert effect_of(text).change is Change.PERHAPS


@pytest.mark.parametrize(
    "text",
    [
        "select * from users where email = %(email)s and note like '50\\%'",
        "copy users to stdout",
        "copy (select id from users) to stdout with (format csv)",
        "declare k cursor for select id from users",
        'select "from", $1::text, pg_catalog . now() from "Users" as u',
    ],
)
def test_a_reading_is_known_in_odd_forms_too(text: str) -> None:
    assert effect_of(text).change is Change.NOTHING


@pytest.mark.parametrize(
    "text",
    [
        "do $$ begin set role bob; end $$",
        "call anything()",
        """select 1 as "it's"; set role bob; select 'a'""",
        'create table "pg_temp".zz (a int)',
        """select pg_catalog."set_config"('a', 'b', false)""",
        'select "pg_advisory_lock"(2)',
    ],
)
def test_what_may_alter_the_session_is_not_hidden(text: str) -> None:
    assert effect_of(text).session


def test_of_several_statements_the_last_one_does_not_tell_how_the_others_ended() -> None:
    session, current = Session(), request.Request(method="POST")
    token = request.begin(current)
    session.done(effect_of("insert into t values (1)"), before=True, after=True)
    session.refused(effect_of("commit; select 1/0"), before=True, after=False)
    assert current.executed == "unknown"
    request.end(token)
    current = request.Request(method="POST")
    token = request.begin(current)
    text = "begin; insert into t values (1); commit; begin; rollback"
    session.done(effect_of(text), before=False, after=False, rolled_back=True)
    assert current.executed == "yes"
    request.end(token)


def test_a_refused_statement_may_have_altered_the_session() -> None:
    session = Session()
    session.refused(effect_of("prepare p as select 1; select 1/0"), before=False, after=False)
    assert session.replace
