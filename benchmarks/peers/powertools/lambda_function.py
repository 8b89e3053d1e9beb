"""AWS Lambda Powertools' router and logger, psycopg, boto3."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.utilities.typing import LambdaContext
from database import rows
from psycopg.errors import UniqueViolation

logger = Logger(service="users")
app = APIGatewayHttpResolver()


@app.get("/users")
def users() -> list[dict[str, Any]]:
    return rows("select * from users order by id limit 100")


@app.post("/users")
def add() -> Response[Any] | tuple[dict[str, Any], int]:
    body = app.current_event.json_body
    try:
        added = rows(
            "insert into users (name, email) values (%s, %s) returning *",
            (body["name"], body["email"]),
        )
    except UniqueViolation:
        return {"error": "email already exists"}, 409
    return added[0], 201


@app.get("/users/<number>")
def user(number: str) -> dict[str, Any]:
    found = rows("select * from users where id = %s", (int(number),))
    if not found:
        raise NotFoundError("Not Found")
    return found[0]


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return app.resolve(event, context)
