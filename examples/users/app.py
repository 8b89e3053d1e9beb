"""The users API: its routes, and how errors look."""

from http import HTTPStatus

import msgspec
import users
from bodies import BodyError, decode, read
from database import db
from parameters import ParameterError, page, user_id
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sunup import caller, exactly_once


def json(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")


class Users(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        limit, after = page(request.query_params)
        return json(await users.page(limit=limit, after=after))

    async def post(self, request: Request) -> Response:
        new = decode(await read(request.stream()), users.NewUser)
        return json(await users.add(new), status=201)


class User(HTTPEndpoint):
    async def get(self, request: Request) -> Response:
        return json(found(await users.get(user_id(request.path_params["id"]))))

    async def put(self, request: Request) -> Response:
        number = user_id(request.path_params["id"])
        changes = decode(await read(request.stream()), users.Changes)
        if changes == users.Changes():
            raise BodyError("expected `name`, `email` or both")
        return json(found(await users.change(number, changes)))

    async def delete(self, request: Request) -> Response:
        return json(found(await users.remove(user_id(request.path_params["id"]))))


async def health(request: Request) -> Response:
    if "deep" not in request.query_params:
        return json({"status": "ok"})
    async with db.connection() as connection:
        await connection.fetchval("select 1")
    return json({"status": "ok", "database": "ok"})


async def me(request: Request) -> Response:
    """Who calls: behind `authorization = "JWT"` or "AWS_IAM", which let nobody else in."""
    who = caller(request.scope)
    if who is None:
        raise HTTPException(401)
    return json({"id": who.id, "kind": who.kind, "scopes": who.scopes})


def found(user: users.User | None) -> users.User:
    if user is None:
        raise HTTPException(404)
    return user


async def http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return json({"error": error.detail}, error.status_code, dict(error.headers or {}))


async def body_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, BodyError)
    content = {"error": error.reason}
    if error.field is not None:
        content["field"] = error.field
    return json(content, error.status)


async def parameter_error(_: Request, error: Exception) -> Response:
    return json({"error": str(error)}, 400)


async def email_taken(_: Request, __: Exception) -> Response:
    return json({"error": "email already exists"}, 409)


async def unforeseen(_: Request, __: Exception) -> Response:
    # Starlette raises it on after this answer; sunup logs it with its cause.
    return json({"error": HTTPStatus(500).phrase}, 500)


app = Starlette(
    routes=[
        Route("/users", Users),
        Route("/users/{id}", User),
        Route("/me", me),
        Route("/health", health),
    ],
    exception_handlers={
        HTTPException: http_error,
        BodyError: body_error,
        ParameterError: parameter_error,
        users.EmailTaken: email_taken,
        Exception: unforeseen,
    },
)
# "/users/" is not "/users": a redirect would lose the stage's prefix.
app.router.redirect_slashes = False
# A request with an Idempotency-Key is executed once, however often it is sent.
# `repeat`: also after a conflict; the app does nothing but what a rollback undoes.
app.add_middleware(exactly_once, database=db, repeat=True)
