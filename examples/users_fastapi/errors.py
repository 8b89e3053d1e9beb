"""How errors look: `{"error": ...}`, and the field where there is one."""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

LARGEST_BODY = 64 * 1024

JSON_NAMES = {dict: "object", list: "array", str: "str", bool: "bool", int: "int", float: "float"}


class CheckedRoute(APIRoute):
    """Reads the body up to a limit before anything looks into it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            body = b""
            async for chunk in request.stream():
                body += chunk
                if len(body) > LARGEST_BODY:
                    raise HTTPException(413, f"The body is larger than {LARGEST_BODY} bytes")
            try:
                body.decode("utf-8")
            except UnicodeDecodeError:
                raise HTTPException(400, "the body is not valid UTF-8") from None

            async def receive() -> dict[str, Any]:
                return {"type": "http.request", "body": body, "more_body": False}

            # Whatever the client calls it: `curl -d` names a form.
            kept = [pair for pair in request.scope["headers"] if pair[0] != b"content-type"]
            headers = [*kept, (b"content-type", b"application/json")]
            return await handle(Request({**request.scope, "headers": headers}, receive))

        return checked


def add_to(app: FastAPI) -> None:
    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == 405:
            # The methods of a path are spread over several routes.
            routes = [route for route in app.routes if isinstance(route, Route)]
            here = [route for route in routes if route.matches(request.scope)[0] != Match.NONE]
            methods = sorted({method for route in here for method in route.methods or ()})
            headers["Allow"] = ", ".join(methods)
        return JSONResponse({"error": error.detail}, error.status_code, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return JSONResponse(explained(error.errors()[0]), 400)

    @app.exception_handler(Exception)
    async def unforeseen(_: Request, __: Exception) -> Response:
        # Starlette raises it on after this answer; sunup logs it with its cause.
        return JSONResponse({"error": HTTPStatus(500).phrase}, 500)


def explained(error: dict[str, Any]) -> dict[str, str]:
    """One of pydantic's errors in the words of this API."""
    kind, place = error["type"], error["loc"]
    if place[0] == "path":
        return {"error": "Invalid id"}
    if place[0] == "query":
        low, high = (1, 1000) if place[1] == "limit" else (0, 2**31 - 1)
        return {"error": f"Invalid {place[1]}: expected a whole number from {low} to {high}"}
    field = str(place[1]) if len(place) > 1 and isinstance(place[1], str) else None
    if kind in ("json_invalid", "string_unicode") or (kind == "missing" and field is None):
        return {"error": "the body is not valid JSON"}
    if kind == "missing":
        reason = f"`{field}` is required"
    elif kind == "value_error":
        reason = f"`{field}` {error['ctx']['error']}"
    else:
        expected = "object" if field is None else "str"
        found = JSON_NAMES.get(type(error["input"]), "null")
        reason = f"expected `{expected}`, got `{found}`"
    return {"error": reason} | ({} if field is None else {"field": field})
