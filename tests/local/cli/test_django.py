"""A Django project as it is: made by Django's own startproject, with the admin."""

import re
from pathlib import Path

import httpx2
import pytest

from sunup.local.emulator import AuroraOptions
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
