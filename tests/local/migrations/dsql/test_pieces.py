import pytest

from sunup.local.migrations.dsql.pieces import Kind, pieces


def test_a_text_is_cut_at_the_ends_of_its_statements() -> None:
    sql = """
    -- a; comment
    create table t (x text default ';');
    create function f() returns int language sql as $$ select 1; $$;
    update t set x = 'a;b' /* ; */ where x = "c;d"  ;;
    """
    assert [each.text for each in pieces(sql)] == [
        "create table t (x text default ';')",
        "create function f() returns int language sql as $$ select 1; $$",
        "update t set x = 'a;b' /* ; */ where x = \"c;d\"",
    ]
    assert pieces(" ; -- nothing\n") == []


def test_what_cannot_be_read_is_one_statement() -> None:
    assert [each.text for each in pieces("select 'a; select 1")] == ["select 'a; select 1"]


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("select 1", Kind.READ),
        ("with x as (select 1) select * from x", Kind.READ),
        ("call sys.wait_for_job('x')", Kind.READ),
        ("with x as (delete from t returning 1) select * from x", Kind.DATA),
        ("INSERT INTO t VALUES (1)", Kind.DATA),
        ("SET search_path = x", Kind.SESSION),
        ("begin", Kind.BOUNDS),
        ("COMMIT", Kind.BOUNDS),
        ("savepoint x", Kind.SCHEMA),
        ("create table t (x int)", Kind.SCHEMA),
        ("truncate t", Kind.SCHEMA),
        ("grant select on t to app", Kind.SCHEMA),
        ("AWS IAM GRANT app TO 'arn:aws:iam::1:role/x'", Kind.SCHEMA),
    ],
)
def test_kinds(sql: str, kind: Kind) -> None:
    assert [each.kind for each in pieces(sql)] == [kind]


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        ("CREATE UNIQUE INDEX ASYNC IF NOT EXISTS i ON t (x)", "i"),
        ('create index async "My i" on s.t (lower(x)) where x is not null', "My i"),
        ("create index async on t (x)", None),
        ("create table i (x int)", None),
    ],
)
def test_the_name_of_an_index(sql: str, index: str | None) -> None:
    assert pieces(sql)[0].index == index
