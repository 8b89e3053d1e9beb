"""The users API on FastAPI and SQLAlchemy's ORM. `/docs` is its OpenAPI page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import errors
from database import db
from fastapi import Depends, FastAPI, HTTPException, Query
from models import User
from schemas import After, Changes, Id, Limit, NewUser, UserOut
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from sunup import exactly_once
from sunup.integrations.sqlalchemy import create_async_engine

engine = create_async_engine(db)
new_session = async_sessionmaker(engine, expire_on_commit=False)


async def session() -> AsyncIterator[AsyncSession]:
    async with new_session() as session:
        yield session


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    await engine.dispose()


Session = Annotated[AsyncSession, Depends(session)]

app = FastAPI(title="users", lifespan=lifespan)
app.router.route_class = errors.CheckedRoute
# "/users/" is not "/users": a redirect would lose the stage's prefix.
app.router.redirect_slashes = False
errors.add_to(app)
# A request with an Idempotency-Key is executed once, however often it is sent.
# `repeat`: also after a conflict; the app does nothing but what a rollback undoes.
app.add_middleware(exactly_once, database=engine, repeat=True)


@app.head("/users", include_in_schema=False)
@app.get("/users")
async def list_users(session: Session, limit: Limit = 100, after: After = 0) -> list[UserOut]:
    users = select(User).where(User.id > after).order_by(User.id).limit(limit)
    return [UserOut.model_validate(user) for user in await session.scalars(users)]


@app.post("/users", status_code=201)
async def create_user(new: NewUser, session: Session) -> UserOut:
    user = User(name=new.name, email=new.email)
    session.add(user)
    await commit(session)
    return UserOut.model_validate(user)


@app.head("/users/{id}", include_in_schema=False)
@app.get("/users/{id}")
async def get_user(id: Id, session: Session) -> UserOut:  # noqa: A002
    return UserOut.model_validate(await found(session, id))


@app.put("/users/{id}")
async def change_user(id: Id, changes: Changes, session: Session) -> UserOut:  # noqa: A002
    if not changes.model_fields_set:
        raise HTTPException(400, "expected `name`, `email` or both")
    user = await found(session, id)
    for field in changes.model_fields_set:
        setattr(user, field, getattr(changes, field))
    await commit(session)
    return UserOut.model_validate(user)


@app.delete("/users/{id}")
async def delete_user(id: Id, session: Session) -> UserOut:  # noqa: A002
    user = await found(session, id)
    await session.delete(user)
    await session.commit()
    return UserOut.model_validate(user)


@app.head("/health", include_in_schema=False)
@app.get("/health")
async def health(session: Session, deep: Annotated[str | None, Query()] = None) -> dict[str, str]:
    if deep is None:
        return {"status": "ok"}  # a session connects when it is first used
    await session.execute(text("select 1"))
    return {"status": "ok", "database": "ok"}


async def found(session: AsyncSession, number: int) -> User:
    user = await session.get(User, number)
    if user is None:
        raise HTTPException(404)
    return user


async def commit(session: AsyncSession) -> None:
    try:
        await session.commit()
    except IntegrityError:
        raise HTTPException(409, "email already exists") from None
