"""The table of receipts: see `sunup.exactly_once`."""

from typing import ClassVar

from django.db import migrations

from sunup.receipts.texts import CREATE, DROP


class Migration(migrations.Migration):
    """No model: nothing but sunup's middleware reads it."""

    initial = True
    dependencies: ClassVar = []
    operations: ClassVar = [migrations.RunSQL(CREATE, DROP)]
