from pathlib import Path

from sunup.local.cloud import files


def test_other_lines_and_comments_stay(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# mine\nexport DB_HOST=old\nDB_HOSTS=other\nKEY='a b'")
    files.write_env(path, {"DB_HOST": "new\\1", "DB_USER": "me"})
    assert path.read_text() == "# mine\nDB_HOST=new\\1\nDB_HOSTS=other\nKEY='a b'\nDB_USER=me\n"


def test_of_a_variable_that_is_there_twice_the_last_one_counts_and_stays(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("DB_HOST=first\nX=1\nDB_HOST=last\nY=2\n")
    files.write_env(path, {"DB_HOST": "new"})
    assert path.read_text() == "X=1\nDB_HOST=new\nY=2\n"


def test_a_key_of_a_map_is_no_variable(tmp_path: Path) -> None:
    path = tmp_path / "terraform.tfvars"
    path.write_text('tags = { # {\ndb_name = "}"\n}\n/* { */\n')
    files.write_tfvars(path, {"db_name": "new"})
    assert path.read_text() == 'tags = { # {\ndb_name = "}"\n}\n/* { */\ndb_name = "new"\n'
    files.write_tfvars(path, {"db_name": "newer"})
    assert path.read_text().count('db_name = "newer"') == 1


def test_terraform_values_are_quoted_or_numbers(tmp_path: Path) -> None:
    path = tmp_path / "terraform.tfvars"
    files.write_tfvars(path, {"db_host": "h", "max_acu": 0.5})
    files.write_tfvars(path, {"max_acu": 4.0})
    assert path.read_text().splitlines()[1:] == ['db_host = "h"', "max_acu = 4"]
