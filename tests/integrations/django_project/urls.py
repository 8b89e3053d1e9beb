import json

from django.db import OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from .models import Note


def notes(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        note = Note.objects.create(**json.loads(request.body))
        return JsonResponse({"id": note.pk}, status=201)
    found = Note.objects.order_by("id").values("text", "tags")
    return JsonResponse(list(found), safe=False)


async def count(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"count": await Note.objects.acount()})


def pid(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid(), current_setting('TimeZone')")
        return JsonResponse(cursor.fetchone(), safe=False)


def lose(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("select pg_terminate_backend(pg_backend_pid())")
    raise AssertionError


def caught(request: HttpRequest) -> HttpResponse:
    try:
        return lose(request)
    except OperationalError:
        return HttpResponse("Django's own exception")


def write_read_only(request: HttpRequest) -> HttpResponse:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("set transaction read only")
        Note.objects.create(text="never")
    raise AssertionError


urlpatterns = [
    path("notes", notes),
    path("count", count),
    path("pid", pid),
    path("lose", lose),
    path("caught", caught),
    path("read-only", write_read_only),
]
