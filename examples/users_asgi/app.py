"""The users API: its routes, and how errors look. Without a framework: asgi.py is all there is."""

from collections.abc import Mapping

import users
from asgi import App, Endpoint, HTTPError, Reply, Request
from bodies import BodyError, decode, parse, read
from database import db

LARGEST_ID = 2**31 - 1
DEFAULT_LIMIT, LARGEST_LIMIT = 100, 1000


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
    limit = whole_number(request, "limit", DEFAULT_LIMIT, 1, LARGEST_LIMIT)
    after = whole_number(request, "after", 0, 0, LARGEST_ID)
    return Reply(await users.page(limit=limit, after=after))


async def add_user(request: Request) -> Reply:
    new = decode(await read(request.stream()), users.NewUser)
    return Reply(await users.add(new), 201)


async def get_user(request: Request) -> Reply:
    return Reply(found(await users.get(user_id(request))))


async def change_user(request: Request) -> Reply:
    number = user_id(request)
    changes = decode(await read(request.stream()), users.Changes)
    if changes == users.Changes():
        raise BodyError("expected `name`, `email` or both")
    return Reply(found(await users.change(number, changes)))


async def remove_user(request: Request) -> Reply:
    return Reply(found(await users.remove(user_id(request))))


async def health(request: Request) -> Reply:
    if "deep" not in request.query:
        return Reply({"status": "ok"})
    async with db.connection() as connection:
        await connection.fetchval("select 1")
    return Reply({"status": "ok", "database": "ok"})


def user_id(request: Request) -> int:
    number = parse(request.path.rpartition("/")[2])
    if number is None or not 1 <= number <= LARGEST_ID:
        raise HTTPError(400, "Invalid id")
    return number


def whole_number(request: Request, name: str, default: int, low: int, high: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    number = parse(text)
    if number is None or not low <= number <= high:
        raise HTTPError(400, f"Invalid {name}: expected a whole number from {low} to {high}")
    return number


def found(user: users.User | None) -> users.User:
    if user is None:
        raise HTTPError(404)
    return user


def on_error(error: Exception) -> HTTPError | None:
    match error:
        case BodyError():
            return HTTPError(error.status, error.reason, error.field)
        case users.EmailTaken():
            return HTTPError(409, "email already exists")
    return None


app = App(routes, on_error)
