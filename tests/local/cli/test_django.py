"""A Django project as it is: made by Django's own startproject, with the admin."""

import re
import shutil
from pathlib import Path

import httpx2
import pytest

from sunup.local.emulator import AuroraOptions
from sunup.local.errors import CommandError
from sunup.local.testing import Emulate
from tests.local.cli.conftest import Cli
from tests.local.cli.test_dev import dev, free_port, sunup, told, wait_for  # noqa: F401
from tests.processes import python

DATABASES = 'DATABASES = {"default": {"ENGINE": "sunup.integrations.django"}}\n'
FILES = {
    "pyproject.toml": '[tool.sunup]\napp = "mysite.wsgi:application"\n',
    "lambda_function.py": """
import os
from sunup import Handler
from sunup.integrations.django import database
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
handler = Handler("mysite.wsgi:application", database=database())
""",
    "shop/__init__.py": "",
    "shop/migrations/__init__.py": "",
    "shop/tests.py": """
from django.contrib.auth.models import User
from django.test import TestCase, TransactionTestCase

class InATransaction(TestCase):
    def test_a_user(self):
        User.objects.create(username="anna")
        self.assertEqual(User.objects.count(), 1)

class Committed(TransactionTestCase):
    def test_a_user(self):
        User.objects.create(username="anna")
        self.assertEqual(User.objects.count(), 1)
""",
}
NOTE = """
from django.db import migrations, models
class Migration(migrations.Migration):
    initial = True
    operations = [migrations.CreateModel("Note", [("id", models.BigAutoField(primary_key=True))])]
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    manage(folder, "-m", "django", "startproject", "mysite", ".")
    settings = folder / "mysite/settings.py"
    text = re.sub(r"DATABASES = \{.*?\n\}\n", DATABASES, settings.read_text(), flags=re.DOTALL)
    text = text.replace("ALLOWED_HOSTS = []", 'ALLOWED_HOSTS = ["*"]')
    settings.write_text(text.replace("INSTALLED_APPS = [", 'INSTALLED_APPS = [\n    "shop",'))
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def manage(folder: Path, *arguments: str, **environ: str) -> str:
    """Run Python in the project; what it said."""
    done = python(folder, *arguments, environ=environ)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def log_in(url: str) -> httpx2.Response:
    """The admin's first page, as its superuser."""
    with httpx2.Client(base_url=url, follow_redirects=True) as client:
        client.get("/admin/login/")
        form = {
            "csrfmiddlewaretoken": client.cookies["csrftoken"],
            "username": "admin",
            "password": "pw",
            "next": "/admin/",
        }
        return client.post("/admin/login/", data=form)


def test_the_admin_works_in_dev_which_migrates_and_migrates_again(site: Path) -> None:
    port = free_port()
    process = sunup("dev", site, "--port", port)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(process, f"{url}/admin/login/")
        options = ("--noinput", "--username", "admin", "--email", "a@example.com")
        manage(site, "manage.py", "createsuperuser", *options, DJANGO_SUPERUSER_PASSWORD="pw")
        assert "Site administration" in log_in(url).text
        (site / "shop/migrations/0001_initial.py").write_text(NOTE)
        assert told(process, "migrations: applied").endswith("shop.0001_initial")
        wait_for(process, f"{url}/admin/login/")
        assert "Site administration" in log_in(url).text
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_manage_py_migrates_and_tests_without_any_setting(site: Path, cli: Cli) -> None:
    said = manage(site, "manage.py", "migrate")
    assert "Applying sessions.0001_initial... OK" in said
    for options in ([], ["--parallel", "2"]):
        said = manage(site, "manage.py", "test", *options)
        assert re.search(r"Ran 2 tests .*\n\nOK\n", said), said
    (site / "shop/migrations/0001_initial.py").write_text(NOTE)
    assert cli("migrate", "up", site)[1:2] == ("Applied shop.0001_initial.\n",)
    assert cli("migrate", "up", site)[1] == "Nothing to do.\n"
    (site / "shop/migrations/0002_wrong.py").write_text(NOTE.replace("initial = True", "x = y"))
    status, _, err = cli("migrate", "up", site)
    assert (status, "manage.py migrate: NameError: name 'y' is not defined" in err) == (1, True)


def test_the_admin_works_in_the_emulator_with_its_cookies(
    site: Path, emulate: Emulate, sunup_database: dict[str, str]
) -> None:
    aws = emulate(site, aurora=AuroraOptions(resume_seconds=2))
    assert "sessions.0001_initial" in aws.applied
    user = "from django.contrib.auth.models import User; User.objects.create_superuser('admin', password='pw')"
    manage(site, "manage.py", "shell", "-c", user, **sunup_database)
    assert "Site administration" in log_in(aws.url).text
    aws.do("aurora/pause")
    assert "Site administration" in log_in(aws.url).text


def set_databases(site: Path, databases: str) -> None:
    settings = site / "mysite/settings.py"
    text = re.sub(r"^DATABASES = .*\n", "", settings.read_text(), flags=re.MULTILINE)
    settings.write_text(f"{text}\nDATABASES = {databases}\n")


@pytest.mark.parametrize(
    ("databases", "says"),
    [
        (
            '{"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}',
            "the default database in Django's settings is django.db.backends.sqlite3",
        ),
        (
            '{"default": {"ENGINE": "django.db.backends.postgresql", "HOST": "db.example.com"}}',
            "the default database in Django's settings is django.db.backends.postgresql",
        ),
        (
            '{"default": {"ENGINE": "sunup.integrations.django", "HOST": "db.example.com"}}',
            "Django's settings name the host db.example.com",
        ),
    ],
)
def test_another_database_than_was_announced_is_not_migrated(
    site: Path,
    cli: Cli,
    emulate: Emulate,
    sunup_database: dict[str, str],
    databases: str,
    says: str,
) -> None:
    set_databases(site, databases)
    lines = [f"{name}={value}" for name, value in sunup_database.items()]
    (site / ".env").write_text("\n".join(lines))
    for command in ("up", "status"):
        status, out, err = cli("migrate", command, site)
        assert (status, out) == (1, "")
        assert says in err
        assert "DATABASES" in err
    with pytest.raises(CommandError, match=re.escape(says)):
        emulate(site)
    assert not (site / "db.sqlite3").exists()
    set_databases(site, DATABASES.partition(" = ")[2])
    assert cli("migrate", "up", site)[1].startswith("Applied contenttypes.0001_initial")


def test_each_of_several_databases_is_made_and_migrated(site: Path, emulate: Emulate) -> None:
    ours = '"ENGINE": "sunup.integrations.django"'
    set_databases(
        site,
        f'{{"default": {{{ours}}}, "logs": {{{ours}, "NAME": "logs"}},'
        ' "old": {"ENGINE": "django.db.backends.sqlite3", "NAME": "old.sqlite3"}}',
    )
    (site / "mysite/urls.py").write_text("""
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.urls import path

def count(request):
    User.objects.using("logs").create(username="anna")
    return HttpResponse(f"{User.objects.count()} {User.objects.using('logs').count()}")

urlpatterns = [path("", count)]
""")
    aws = emulate(site)
    assert "auth.0001_initial" in aws.applied
    assert "auth.0001_initial (logs)" in aws.applied
    assert not any("old" in name for name in aws.applied)
    assert httpx2.get(aws.url, timeout=30).text == "0 1"


def test_what_django_does_itself_is_said_and_its_migrations_are_listed(
    site: Path, cli: Cli, sunup_database: dict[str, str]
) -> None:
    lines = [f"{name}={value}" for name, value in sunup_database.items()]
    (site / ".env").write_text("\n".join(lines))
    for command, instead in (
        (("new", "more"), "makemigrations"),
        (("down",), "migrate APP NAME"),
        (("sql",), "sqlmigrate"),
        (("merge",), "makemigrations --merge"),
    ):
        status, _, err = cli("migrate", *command, site)
        assert (status, f"python manage.py {instead}" in err) == (1, True), err
    assert not (site / "migrations").exists()
    assert "pending  sessions.0001_initial" in cli("migrate", "status", site)[1]
    cli("migrate", "up", site)
    assert "applied  sessions.0001_initial" in cli("migrate", "status", site)[1]


@pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not installed")
def test_dbshell_is_where_the_app_is(site: Path, sunup_database: dict[str, str]) -> None:
    ask = "select current_database(), current_setting('unix_socket_directories')"
    said = manage(site, "manage.py", "dbshell", "--", "-Atc", ask, **sunup_database)
    assert said == f"{sunup_database['DB_NAME']}|{sunup_database['DB_HOST']}\n"


@pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not installed")
def test_dbshell_signs_in_with_a_token(site: Path, emulate: Emulate) -> None:
    aws = emulate(None)
    ask = "select current_user, ssl from pg_stat_ssl where pid = pg_backend_pid()"
    said = manage(site, "manage.py", "dbshell", "--", "-Atc", ask, **aws.environ)
    assert said == f"{aws.environ['DB_USER']}|t\n"
