"""The users API: its routes, and how errors look. Without a framework: asgi.py is all there is."""

from collections.abc import Mapping

import users
from asgi import App, Endpoint, HTTPError, Reply, Request
from bodies import BodyError, decode, read
from database import db
from parameters import ParameterError, page, user_id

from sunup import exactly_once


def routes(path: str) -> Mapping[str, Endpoint] | None:
    match path.split("/"):
        case ["", "users"]:
            return {"GET": list_users, "POST": add_user}
        case ["", "users", number] if number:
            return {"GET": get_user, "PUT": change_user, "DELETE": remove_user}
        case ["", "health"]:
            return {"GET": health}
    return None


async def list_users(request: Request) -> Reply:
    limit, after = page(request.query)
    return Reply(await users.page(limit=limit, after=after))


async def add_user(request: Request) -> Reply:
    new = decode(await read(request.stream()), users.NewUser)
    return Reply(await users.add(new), 201)


async def get_user(request: Request) -> Reply:
    return Reply(found(await users.get(user_id(request.segment))))


async def change_user(request: Request) -> Reply:
    number = user_id(request.segment)
    changes = decode(await read(request.stream()), users.Changes)
    if changes == users.Changes():
        raise BodyError("expected `name`, `email` or both")
    return Reply(found(await users.change(number, changes)))


async def remove_user(request: Request) -> Reply:
    return Reply(found(await users.remove(user_id(request.segment))))


async def health(request: Request) -> Reply:
    if "deep" not in request.query:
        return Reply({"status": "ok"})
    async with db.connection() as connection:
        await connection.fetchval("select 1")
    return Reply({"status": "ok", "database": "ok"})


def found(user: users.User | None) -> users.User:
    if user is None:
        raise HTTPError(404)
    return user


def on_error(error: Exception) -> HTTPError | None:
    match error:
        case BodyError():
            return HTTPError(error.status, error.reason, error.field)
        case ParameterError():
            return HTTPError(400, str(error))
        case users.EmailTaken():
            return HTTPError(409, "email already exists")
    return None


# A request with an Idempotency-Key is executed once, however often it is sent.
# `repeat`: also after a conflict; the app does nothing but what a rollback undoes.
app = exactly_once(App(routes, on_error), database=db, repeat=True)
