"""What may stand in the files for GitHub's jobs, and how it is quoted there."""

import json
import re

from sunup.local.errors import CommandError

_BRANCH = r"(?!.*(?:\.\.|//|\.lock$))[\w@#=%][\w@#=%.,/-]*(?<![./])"
_ENVIRONMENT = r"\w(?:[\w ./:#()@=-]{0,253}[\w.:#()@=-])?"
_BUCKET = r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
_NAME = r"[a-zA-Z][a-zA-Z0-9-]{2,39}"


def branch(value: str) -> str:
    """One branch: GitHub takes a pattern, in which `*`, `!`, `?`, `+` and `[` mean something.

    Raises `CommandError`.
    """
    return _checked(value, _BRANCH, "--branch", "Name one branch, without wildcards and spaces.")


def environment(value: str) -> str:
    """Of the repository. Raises `CommandError`."""
    return _checked(
        value, _ENVIRONMENT, "--environment", "Use letters, digits, spaces and ./:#()@=-_."
    )


def bucket(value: str, place: str) -> str:
    """As S3 takes it. Raises `CommandError`; `place` is where it was said."""
    return _checked(
        value,
        _BUCKET,
        place,
        "A bucket's name has 3 to 63 lower-case letters, digits, dots and hyphens.",
    )


def region(value: str) -> str:
    """Raises `CommandError`."""
    return _checked(
        value,
        r"[a-z]{2}(-[a-z]+)+-[0-9]+",
        "AWS_REGION",
        "Use the name of a region, such as eu-central-1.",
    )


def name(value: str, cure: str) -> str:
    """The function's, by whose beginning the rights are given. Raises `CommandError`."""
    rule = (
        "Use 3 to 40 letters, digits and hyphens, starting with a letter: IAM permissions go by "
        "this prefix. "
    )
    return _checked(value, _NAME, "the function's name", rule + cure)


def packages(value: str, cure: str) -> str:
    """A folder in a bucket: in a policy `*`, `?` and `$` mean something. Raises `CommandError`."""
    return _checked(
        value,
        r"[\w. -]+",
        "the app's name",
        f"Use letters, digits, spaces, dots, hyphens and underscores. {cure}",
    )


def quoted(text: str) -> str:
    """For YAML; also for a workflow, which would evaluate `${{`. Raises `CommandError`."""
    if "${{" in text or not text.isprintable():
        raise CommandError(
            f"{text!r} cannot be used in a workflow", "Remove ${{ and control characters."
        )
    return json.dumps(text, ensure_ascii=False)


def hcl(value: str | list[str]) -> str:
    """For Terraform's language, which has templates in its texts."""
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("${", "$${").replace("%{", "%%{")


def _checked(value: str, pattern: str, place: str, cure: str) -> str:
    if not re.fullmatch(pattern, value):
        raise CommandError(f"{place} cannot be {value!r}", cure)
    return value
