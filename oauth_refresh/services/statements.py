"""The two statements of a refresh on PostgreSQL; other databases get the same from the ORM, in a few more.

One statement reads the token with its grant, application and user. One writes: it advances the grant's row and inserts
the tokens of the new generation. The ORM cannot say the second, and takes longer to compile the first than the database
to run it. Each round trip less is time in which the grant's row is not locked.

The SQL is made of the models' metadata, and the values are those that the ORM would send, so that both ways store and
read the same.
"""

from collections.abc import Collection, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar, cast

from django.contrib.auth import get_user_model
from django.db import connections, transaction
from django.db.models import Field, Model, QuerySet

from oauth_refresh.errors import ConcurrentChange
from oauth_refresh.models import AccessToken, Application, Grant, RefreshToken
from oauth_refresh.models.users import may_hide_users, with_hidden_users
from oauth_refresh.services.db import db_alias

T = TypeVar("T", bound=Model)
TokenRow = TypeVar("TokenRow", RefreshToken, AccessToken)
Columns = tuple["Field[Any, Any]", ...]


def find_by_digest(model: type[TokenRow], digest: str, *, unused: Collection[str] = ()) -> TokenRow | None:
    """Return the token with its grant, application and user, by one statement; None if there is none.

    ``unused``: columns, as for ``QuerySet.defer``, that stay in the database until they are asked for.
    """
    alias = db_alias()
    if connections[alias].vendor != "postgresql" or may_hide_users() or not _has_plain_columns(get_user_model()):
        rows = model._default_manager.using(alias).select_related("grant__application", "grant__user")
        return first_of_grant(rows.defer(*unused).filter(digest=digest))
    selection = _selection(alias, model, get_user_model(), tuple(unused))
    with connections[alias].cursor() as cursor:
        cursor.execute(selection.sql, [digest])
        values = cursor.fetchone()
    return None if values is None else selection.build(values, alias)


def first_of_grant(rows: QuerySet[T]) -> T | None:
    """Return the one row, which belongs to a grant. The same statement reads whether the user is hidden."""
    row: Any = next(iter(with_hidden_users(rows, path="grant__")), None)
    if row is not None:
        row.grant.user_is_hidden = getattr(row, "user_is_hidden", None)
    return cast("T | None", row)


def with_columns(grant: Grant, columns: dict[str, Any]) -> Grant:
    """Return the grant as ``advance_grant`` leaves it. The one that was read stays as it was."""
    advanced = copy(grant)
    for column, value in columns.items():
        setattr(advanced, column, value)
    return advanced


def needs_transaction() -> bool:
    """Whether ``advance_grant`` makes several statements here, or must become part of a transaction that is open."""
    alias = db_alias()
    return connections[alias].vendor != "postgresql" or not transaction.get_autocommit(using=alias)


def advance_grant(grant: Grant, columns: dict[str, Any], *, rows: Sequence[Model]) -> None:
    """Set ``columns`` if the grant is unrevoked and of the generation that was read, and insert ``rows`` of its own.

    Raises ConcurrentChange, with nothing written, if another request changed or revoked the grant first.
    """
    by_one = connections[db_alias()].vendor == "postgresql"
    if not (_advance_by_one_statement if by_one else _advance)(grant, columns, rows):
        raise ConcurrentChange


def _advance(grant: Grant, columns: dict[str, Any], rows: Sequence[Model]) -> bool:
    """Make the change by one statement for each write.

    The update comes first: of two transactions that inserted first, one would wait for the other and then fail.
    """
    alias = db_alias()
    unchanged = Grant.objects.using(alias).unrevoked().filter(pk=grant.pk, generation=grant.generation)
    if not unchanged.update(**columns):
        return False
    for row in rows:
        type(row)._default_manager.using(alias).bulk_create([row])  # unlike save(), it sends no signals of Django
    return True


def _advance_by_one_statement(grant: Grant, columns: dict[str, Any], rows: Sequence[Model]) -> bool:
    """Make the change by one statement of PostgreSQL, which is a transaction of its own unless one is open."""
    alias = db_alias()
    connection = connections[alias]
    parameters = [_field(Grant, name).get_db_prep_save(value, connection) for name, value in columns.items()]
    parameters += [grant.pk, grant.generation]
    for row in rows:
        parameters += [
            field.get_db_prep_save(getattr(row, field.attname), connection) for field in _inserted(type(row))
        ]
    with connection.cursor() as cursor:
        cursor.execute(_write(alias, tuple(columns), tuple(type(row) for row in rows)), parameters)
        return bool(cursor.rowcount == 1)


@dataclass(frozen=True, slots=True)
class _Selection:
    """A SELECT of a token and what it belongs to, and how its values become rows."""

    sql: str
    parts: tuple[tuple[type[Model], Columns], ...]

    def build(self, values: Sequence[Any], alias: str) -> Any:
        token, grant, application, user = self._rows(values, alias)
        token.grant, grant.application, grant.user = grant, application, user
        return token

    def _rows(self, values: Sequence[Any], alias: str) -> list[Any]:
        rows, start, connection = [], 0, connections[alias]
        for model, fields in self.parts:
            own = list(values[start : start + len(fields)])
            start += len(fields)
            for position, field in _converted(fields):
                own[position] = field.from_db_value(own[position], field.cached_col, connection)
            missing = model is get_user_model() and all(value is None for value in own)
            rows.append(None if missing else model.from_db(alias, [field.attname for field in fields], own))
        return rows


@cache
def _converted(fields: Columns) -> tuple[tuple[int, Any], ...]:
    """Return the fields that convert what they read, with their positions."""
    return tuple((position, field) for position, field in enumerate(fields) if hasattr(field, "from_db_value"))


@cache
def _selection(
    alias: str, model: type[RefreshToken | AccessToken], user_model: type[Model], unused: tuple[str, ...]
) -> _Selection:
    connection = connections[alias]
    quote = connection.ops.quote_name
    prefixes = {model: "", Grant: "grant__", Application: "grant__application__", user_model: "grant__user__"}
    parts = tuple(
        (part, tuple(field for field in part._meta.concrete_fields if f"{prefix}{field.name}" not in unused))
        for part, prefix in prefixes.items()
    )

    def column(part: type[Model], name: str) -> str:
        return f"{quote(part._meta.db_table)}.{quote(_field(part, name).column)}"

    def key(part: type[Model]) -> str:
        return column(part, part._meta.pk.name)

    selected = ", ".join(column(part, field.name) for part, fields in parts for field in fields)
    tables = {part: quote(part._meta.db_table) for part in prefixes}
    sql = (
        f"SELECT {selected} FROM {tables[model]} "  # noqa: S608  names of models
        f"JOIN {tables[Grant]} ON {key(Grant)} = {column(model, 'grant')} "
        f"JOIN {tables[Application]} ON {key(Application)} = {column(Grant, 'application')} "
        f"LEFT JOIN {tables[user_model]} ON {key(user_model)} = {column(Grant, 'user')} "
        f"WHERE {column(model, 'digest')} = %s"
    )
    return _Selection(sql, parts)


@cache
def _has_plain_columns(model: type[Model]) -> bool:
    """Whether all columns of a user are in one table, and are read as they are stored (not so those of GeoDjango)."""
    return all(
        field.model._meta.db_table == model._meta.db_table and type(field).select_format is Field.select_format
        for field in model._meta.concrete_fields
    )


@cache
def _write(alias: str, columns: tuple[str, ...], models: tuple[type[Model], ...]) -> str:
    """Return ``WITH advanced AS (UPDATE …), inserted AS (INSERT …) INSERT …``: all of it happens, or nothing."""
    connection = connections[alias]
    quote = connection.ops.quote_name
    fields = [_field(Grant, name) for name in columns]
    key, generation, revoked_at = (quote(_field(Grant, name).column) for name in ("id", "generation", "revoked_at"))
    assignments = ", ".join(f"{quote(field.column)} = {_placeholder(field, connection)}" for field in fields)
    update = (
        f"UPDATE {quote(Grant._meta.db_table)} SET {assignments} "  # noqa: S608  names of models
        f"WHERE {key} = %s AND {generation} = %s AND {revoked_at} IS NULL RETURNING {key}"
    )
    *earlier, last = (_insert(model, connection) for model in models)
    return f"WITH advanced AS ({update}){''.join(f', inserted AS ({insert})' for insert in earlier)} {last}"


def _insert(model: type[Model], connection: Any) -> str:
    """Return the INSERT of one row of ``model`` if the grant was advanced."""
    quote, fields = connection.ops.quote_name, _inserted(model)
    names = ", ".join(quote(field.column) for field in fields)
    values = ", ".join(_placeholder(field, connection) for field in fields)
    return f"INSERT INTO {quote(model._meta.db_table)} ({names}) SELECT {values} FROM advanced"  # noqa: S608  as above


def _placeholder(field: "Field[Any, Any]", connection: Any) -> str:
    """Return a parameter of the field's type: PostgreSQL cannot infer it in a SELECT, and would take it for a text.

    Without the length, such as ``(64)``: a cast would cut off a longer text, which the column refuses.
    """
    return f"CAST(%s AS {(field.db_type(connection) or '').partition('(')[0]})"


@cache
def _inserted(model: type[Model]) -> Columns:
    """Return the fields of a new row, without the key, which the database makes."""
    return tuple(field for field in model._meta.concrete_fields if not field.primary_key)


@cache
def _field(model: type[Model], name: str) -> Any:
    return model._meta.get_field(name)
