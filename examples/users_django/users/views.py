"""The users API: its routes, and how errors look."""

from http import HTTPStatus

import msgspec
from django.core.exceptions import RequestDataTooBig
from django.db import IntegrityError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from .bodies import LARGEST_BODY, BodyError, decode
from .models import User
from .parameters import ParameterError, page, user_id
from .schemas import Changes, NewUser, out


def json(content: object, status: int = 200) -> HttpResponse:
    return HttpResponse(msgspec.json.encode(content), "application/json", status)


def error(status: int, reason: str = "", field: str | None = None) -> HttpResponse:
    content = {"error": reason or HTTPStatus(status).phrase}
    return json(content if field is None else {**content, "field": field}, status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error(400)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return error(404)


# There are no cookies in an API's calls, and so nothing to forge.
@method_decorator(csrf_exempt, name="dispatch")
class Api(View):
    def dispatch(self, request: HttpRequest, *args: str, **kwargs: str) -> HttpResponseBase:
        try:
            return super().dispatch(request, *args, **kwargs)
        except BodyError as wrong:
            return error(400, wrong.reason, wrong.field)
        except ParameterError as wrong:
            return error(400, str(wrong))
        except User.DoesNotExist:
            return error(404)

    def http_method_not_allowed(
        self, request: HttpRequest, *args: str, **kwargs: str
    ) -> HttpResponse:
        refused = error(405)
        refused["Allow"] = ", ".join(name.upper() for name in self.http_method_names)
        return refused


class Users(Api):
    http_method_names = ("get", "head", "post")

    def get(self, request: HttpRequest) -> HttpResponse:
        limit, after = page(request.GET)
        return json([out(user) for user in User.objects.filter(pk__gt=after)[:limit]])

    def post(self, request: HttpRequest) -> HttpResponse:
        body = read(request)
        if body is None:
            return error(413, f"The body is larger than {LARGEST_BODY} bytes")
        new = decode(body, NewUser)
        return saved(User(name=new.name, email=new.email), 201)


class OneUser(Api):
    http_method_names = ("get", "head", "put", "delete")

    def get(self, request: HttpRequest, number: str) -> HttpResponse:
        return json(out(User.objects.get(pk=user_id(number))))

    def put(self, request: HttpRequest, number: str) -> HttpResponse:
        identity = user_id(number)
        body = read(request)
        if body is None:
            return error(413, f"The body is larger than {LARGEST_BODY} bytes")
        changes = decode(body, Changes)
        if changes == Changes():
            raise BodyError("expected `name`, `email` or both")
        user = User.objects.get(pk=identity)
        if changes.name is not msgspec.UNSET:
            user.name = changes.name
        if changes.email is not msgspec.UNSET:
            user.email = changes.email
        return saved(user)

    def delete(self, request: HttpRequest, number: str) -> HttpResponse:
        user = User.objects.get(pk=user_id(number))
        content = out(user)
        user.delete()
        return json(content)


class Health(Api):
    http_method_names = ("get", "head")

    def get(self, request: HttpRequest) -> HttpResponse:
        if "deep" not in request.GET:
            return json({"status": "ok"})
        with connection.cursor() as cursor:
            cursor.execute("select 1")
        return json({"status": "ok", "database": "ok"})


def read(request: HttpRequest) -> bytes | None:
    """The body; `None` for one that is too large."""
    try:
        body = request.body
    except RequestDataTooBig:
        return None
    return body if len(body) <= LARGEST_BODY else None


def saved(user: User, status: int = 200) -> HttpResponse:
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError:
        return error(409, "email already exists")
    return json(out(user), status)
