import json
from collections.abc import AsyncIterator

from django.db import IntegrityError, OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
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


seen: list[str] = []


def work(request: HttpRequest) -> HttpResponseBase:
    """What a request with a receipt does, by its query."""
    name, _, how = request.GET["name"].partition("-")
    note = Note.objects.create(text=name)
    transaction.on_commit(lambda: seen.append(name))
    if how == "taken":
        try:
            with transaction.atomic():
                Note.objects.create(text=name)
        except IntegrityError:
            return HttpResponse("taken", status=409)
    if how == "hidden":
        try:
            Note.objects.create(text=name)
        except IntegrityError:
            return HttpResponse("hidden", status=409)
    if how == "raises":
        raise ValueError(name)
    if how == "hook":
        transaction.on_commit(lambda: seen.remove("never there"))
    if how == "streams":
        return StreamingHttpResponse([b"a", b"b"], status=201)
    response = JsonResponse({"id": note.pk, "body": len(request.body)}, status=201)
    response.set_cookie("one", "1")
    response.set_cookie("two", "2")
    return response


async def stream(request: HttpRequest) -> HttpResponseBase:
    async def parts() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    await Note.objects.acreate(text=request.GET["name"])
    return StreamingHttpResponse(parts(), status=201)


urlpatterns = [
    path("work", work),
    path("stream", stream),
    path("notes", notes),
    path("count", count),
    path("pid", pid),
    path("lose", lose),
    path("caught", caught),
    path("read-only", write_read_only),
]
