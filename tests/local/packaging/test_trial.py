"""Handlers that are imported from a zip file, by the running Python."""

import importlib.machinery
import importlib.util
import sys
import zipfile
from pathlib import Path

import pytest

import sunup
from sunup.local.errors import CommandError
from sunup.local.packaging import trial


def tried(folder: Path, source: str) -> str | None:
    with zipfile.ZipFile(folder / "lambda.zip", "w") as file:
        file.writestr("main.py", source)
    return trial.handler_natively(folder / "lambda.zip", "main.handler", sys.executable, {})


def test_what_lambda_s_runtime_brings_is_there_as_it_is_on_lambda(tmp_path: Path) -> None:
    """`import boto3` was an error: "On Lambda INIT would fail in the same way"."""
    source = (
        "import botocore.session, urllib3, jmespath, dateutil.parser, six\n"
        "client = botocore.session.Session().create_client('sqs')\nhandler = print\n"
    )
    assert tried(tmp_path, source) is None


def test_what_this_machine_lacks_of_the_runtime_is_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec

    def hidden(name: str) -> importlib.machinery.ModuleSpec | None:
        return None if name == "boto3" else found(name)

    monkeypatch.setattr("sunup.local.packaging.trial.importlib.util.find_spec", hidden)
    note = tried(tmp_path, "import boto3\nhandler = print\n")
    assert note is not None
    assert "up to where it needs boto3, which Lambda has" in note
    assert "pip install boto3" in note


def test_only_what_the_runtime_brings_is_taken_from_this_machine(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No module named 'pytest'"):
        tried(tmp_path, "import pytest\nhandler = print\n")


def test_a_long_error_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as raised:
        tried(tmp_path, "raise ImportError('a\\nb\\n\\n' + 'c ' * 1000)")
    assert "raises ImportError: a b c" in raised.value.what
    assert "\n" not in raised.value.what
    assert len(raised.value.what) < 500


@pytest.mark.parametrize(
    "output",
    [
        "sys.stdout.buffer.write(b'\\xff\\xfe\\n')",
        "sys.stdout.close()",
        "print('{}')",
        "os.close(1)",
    ],
)
def test_an_app_may_write_what_it_likes_to_standard_output(tmp_path: Path, output: str) -> None:
    assert tried(tmp_path, f"import os, sys\n{output}\nhandler = print\n") is None


@pytest.mark.parametrize("status", [0, 3])
def test_an_app_that_ends_the_process_is_told(tmp_path: Path, status: int) -> None:
    with pytest.raises(CommandError, match=f"ended the process with status {status}"):
        tried(tmp_path, f"import os\nos._exit({status})\n")


def test_what_settings_may_cause_is_a_note(tmp_path: Path) -> None:
    note = tried(tmp_path, "import os\nos.environ['STRIPE_KEY']\n")
    assert note is not None
    assert "KeyError: 'STRIPE_KEY'. With its settings on Lambda it may succeed." in note


def test_what_the_package_s_own_copy_of_the_runtime_s_lacks_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"No module named 'urllib3\.gone'"):
        tried(tmp_path, "import urllib3.gone\nhandler = print\n")


def test_an_app_s_name_that_leads_nowhere_is_an_error_where_the_code_gives_it(
    tmp_path: Path,
) -> None:
    source = "from sunup import SettingsError\nraise SettingsError({!r}, {!r}, 'a name')\n"
    trial_of = f"import sys\nsys.path.append({str(Path(sunup.__file__).parents[1])!r})\n{source}"
    with pytest.raises(CommandError, match=r"app is 'main:app\.x'"):
        tried(tmp_path, trial_of.format("app", "main:app.x"))
    # Lambda's settings may name another.
    assert tried(tmp_path, trial_of.format("SUNUP_APP", "app:app")) is not None
