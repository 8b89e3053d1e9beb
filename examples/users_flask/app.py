"""The users API: its routes, and how errors look."""

import msgspec
import users
from bodies import LARGEST_BODY, BodyError, decode
from database import db
from flask import Flask, Response, request
from parameters import ParameterError, page, user_id
from werkzeug.exceptions import HTTPException, NotFound, RequestEntityTooLarge

from sunup import exactly_once

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
# Exceptions leave the app: sunup logs them with their cause, and knows when it was the database.
app.config["PROPAGATE_EXCEPTIONS"] = True
# A request with an Idempotency-Key is executed once, however often it is sent.
# `repeat`: also after a conflict; the app does nothing but what a rollback undoes.
app.wsgi_app = exactly_once(app.wsgi_app, database=db, repeat=True)  # type: ignore[method-assign]
# "/users//1" is not "/users/1": a redirect would lose the stage's prefix.
app.url_map.merge_slashes = False


def json(content: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, mimetype="application/json")


@app.get("/users")
def list_users() -> Response:
    limit, after = page(request.args)
    return json(users.page(limit=limit, after=after))


@app.post("/users")
def create_user() -> Response:
    return json(users.add(decode(request.get_data(), users.NewUser)), 201)


@app.get("/users/<number>")
def get_user(number: str) -> Response:
    return json(found(users.get(user_id(number))))


@app.put("/users/<number>")
def change_user(number: str) -> Response:
    identity = user_id(number)
    changes = decode(request.get_data(), users.Changes)
    if changes == users.Changes():
        raise BodyError("expected `name`, `email` or both")
    return json(found(users.change(identity, changes)))


@app.delete("/users/<number>")
def delete_user(number: str) -> Response:
    return json(found(users.remove(user_id(number))))


@app.get("/health")
def health() -> Response:
    if "deep" not in request.args:
        return json({"status": "ok"})
    with db.connection() as connection:
        connection.execute("select 1")
    return json({"status": "ok", "database": "ok"})


def found(user: users.User | None) -> users.User:
    if user is None:
        raise NotFound
    return user


@app.errorhandler(HTTPException)
def http_error(error: HTTPException) -> Response:
    response = json({"error": error.name}, error.code or 500)
    response.headers.extend(header for header in error.get_headers() if header[0] == "Allow")
    return response


@app.errorhandler(RequestEntityTooLarge)
def too_large(_: RequestEntityTooLarge) -> Response:
    return json({"error": f"The body is larger than {LARGEST_BODY} bytes"}, 413)


@app.errorhandler(BodyError)
def body_error(error: BodyError) -> Response:
    content = {"error": error.reason}
    if error.field is not None:
        content["field"] = error.field
    return json(content, 400)


@app.errorhandler(ParameterError)
def parameter_error(error: ParameterError) -> Response:
    return json({"error": str(error)}, 400)


@app.errorhandler(users.EmailTaken)
def email_taken(_: users.EmailTaken) -> Response:
    return json({"error": "email already exists"}, 409)
