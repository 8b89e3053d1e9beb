"""Run by test_django_dsql.py in a process of its own: Django on an emulated Aurora DSQL."""

import json
import sys

import django
from django.conf import settings
from django.db import IntegrityError, connection, models, transaction

settings.configure(
    DATABASES={"default": {"ENGINE": "sunup.integrations.django"}},
    INSTALLED_APPS=["sunup.integrations.django"],
    USE_TZ=True,
)
django.setup()


class Thing(models.Model):
    id: "models.IntegerField[int, int]" = models.IntegerField(primary_key=True)

    class Meta:
        app_label = "things"
        db_table = "t"
        managed = False


class Failed(Exception):
    """The app's own."""


def fail() -> None:
    raise Failed


def inner_fails_first() -> None:
    with transaction.atomic():
        try:
            with transaction.atomic():
                Thing.objects.create(id=1)
                fail()
        except Failed:
            pass
        Thing.objects.create(id=2)


def inner_refused_later() -> None:
    with transaction.atomic():
        Thing.objects.create(id=3)
        try:
            with transaction.atomic():
                Thing.objects.create(id=3)
        except IntegrityError:
            pass


def inner_reads_and_fails() -> None:
    with transaction.atomic():
        Thing.objects.create(id=4)
        try:
            with transaction.atomic():
                Thing.objects.get(id=99)
        except Thing.DoesNotExist:
            pass


def get_or_create() -> None:
    with transaction.atomic():
        Thing.objects.get_or_create(id=5)
        Thing.objects.get_or_create(id=5)


def iterated() -> None:
    assert list(Thing.objects.iterator())


def on_commit_of_what_failed() -> None:
    called: list[int] = []
    with transaction.atomic():
        try:
            with transaction.atomic():
                transaction.on_commit(lambda: called.append(1))
                fail()
        except Failed:
            pass
        Thing.objects.create(id=6)
        transaction.on_commit(lambda: called.append(2))
    assert called == [2]


outcomes = {}
for step in (
    inner_fails_first,
    inner_refused_later,
    inner_reads_and_fails,
    get_or_create,
    iterated,
    on_commit_of_what_failed,
):
    try:
        step()
    except Exception as error:
        outcomes[step.__name__] = f"{type(error).__name__}: {error}"
    else:
        outcomes[step.__name__] = "done"
    connection.close()
there = sorted(Thing.objects.values_list("id", flat=True))
connection.close()
json.dump({"outcomes": outcomes, "there": there}, sys.stdout)
