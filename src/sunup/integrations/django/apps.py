"""The Django app: its migration adds the table of receipts."""

from django.apps import AppConfig


class Receipts(AppConfig):
    """For INSTALLED_APPS, where `exactly_once` is used."""

    name = "sunup.integrations.django"
    label = "sunup"
    verbose_name = "sunup"
