"""Starlette behind Mangum, psycopg, boto3."""

from database import rows
from mangum import Mangum
from psycopg.errors import UniqueViolation
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


def users(_: Request) -> JSONResponse:
    return JSONResponse(rows("select * from users order by id limit 100"))


async def add(request: Request) -> JSONResponse:
    body = await request.json()
    try:
        added = rows(
            "insert into users (name, email) values (%s, %s) returning *",
            (body["name"], body["email"]),
        )
    except UniqueViolation:
        return JSONResponse({"error": "email already exists"}, 409)
    return JSONResponse(added[0], 201)


def user(request: Request) -> JSONResponse:
    found = rows("select * from users where id = %s", (request.path_params["id"],))
    return JSONResponse(found[0]) if found else JSONResponse({"error": "Not Found"}, 404)


app = Starlette(
    routes=[
        Route("/users", users),
        Route("/users", add, methods=["POST"]),
        Route("/users/{id:int}", user),
    ]
)
handler = Mangum(app)
