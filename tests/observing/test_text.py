"""Statements without literals."""

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from sunup.observing.text import without_literals


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("select * from users where id = $1", "select * from users where id = $1"),
        ("select 1", "select ?"),
        ("select 'Anna''s', E'a\\'b', 2.5e-3, .5, 0xFF", "select ?, ?, ?, ?, ?"),
        ("select name1, t2.x3 from t2", "select name1, t2.x3 from t2"),
        ('select "it\'s 5" from "a""b"', 'select "it\'s 5" from "a""b"'),
        ("select %s, %(name)s", "select %s, %(name)s"),
        ("select $$Anna$$, $tag$it's $$ 5$tag$, $2", "select ?, ?, $2"),
        ("select /* mail: anna@example.com */ 1 -- Anna\nfrom t", "select ? from t"),
        ("insert into t values ('a', 1),\n  ('b', 2)", "insert into t values (?, ?), (?, ?)"),
        ("select 'open", "select ?"),
        ("select a[1], b::numeric(10,2)", "select a[?], b::numeric(?,?)"),
        ("select U&'d\\0061t', N'x', b'01', X'1F'", "select ?, ?, ?, ?"),
        ("set local statement_timeout = '5s'", "set local statement_timeout = ?"),
        ("", ""),
    ],
)
def test_what_is_not_a_parameter_is_a_question_mark(text: str, plain: str) -> None:
    assert without_literals(text) == plain


SECRETS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=3, max_size=12)


@given(SECRETS)
def test_no_text_gets_through(secret: str) -> None:
    """The literal is written by somebody else's SQL writer."""
    text = sqlglot.exp.select(sqlglot.exp.Literal.string(secret)).from_("t").sql("postgres")
    assert without_literals(text) == "SELECT ? FROM t"


def test_a_long_statement_is_cut() -> None:
    assert len(without_literals("select " + "a, " * 50_000)) == 2000
