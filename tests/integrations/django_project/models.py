from typing import Any

from django.db import models


class Note(models.Model):
    text: "models.CharField[str, str]" = models.CharField(max_length=50, unique=True)
    tags = models.JSONField(default=list)
    written: "models.DateTimeField[Any, Any]" = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "django_project"

    def __str__(self) -> str:
        return self.text
