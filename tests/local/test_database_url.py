import pytest

from sunup.local.database_url import database_variables
from sunup.settings import SettingsError


def test_a_database_url_becomes_variables() -> None:
    assert database_variables("postgresql://me:p%40ss@db:6432/shop?sslmode=disable") == {
        "DB_HOST": "db",
        "DB_PORT": "6432",
        "DB_USER": "me",
        "DB_PASSWORD": "p@ss",
        "DB_NAME": "shop",
        "DB_SSLMODE": "disable",
        "DB_SSLROOTCERT": "",
    }
    socket = database_variables("postgresql://postgres@/shop?host=/tmp/x")
    assert socket["DB_HOST"] == "/tmp/x"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql+asyncpg", "postgresql+psycopg"])
def test_a_url_may_be_written_as_sqlalchemy_takes_it(scheme: str) -> None:
    assert database_variables(f"{scheme}://localhost/shop")["DB_NAME"] == "shop"


@pytest.mark.parametrize(
    "url", ["mysql://h/x", "localhost:5432", "postgresql://u:geheim@h:port/x", "postgresql://", "postgresql://u:geheim@h/x?a=1"]
)  # fmt: skip
def test_a_wrong_database_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError, match="--database-url") as raised:
        database_variables(url)
    assert "geheim" not in str(raised.value)
