"""The statements that every request runs, each compiled once: from then on only its values change.

Django writes them, for whatever database there is. But to write so small a statement takes it several times longer than
the database needs to run it, and a refresh has five. Whatever is not run at every request uses the ORM as usual.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import Any, Generic, TypeVar

from django.db import connections, models
from django.db.models.constants import LOOKUP_SEP
from django.db.models.sql import InsertQuery, UpdateQuery

from oauth_refresh.services.transactions import write_alias

Row = TypeVar("Row", bound=models.Model)
Converter = tuple[int, Sequence[Callable[..., Any]], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One model's columns within a row that was read; ``path`` leads to it from the model that was looked up."""

    model: type[models.Model]
    path: tuple[str, ...]
    columns: list[str]
    start: int

    @property
    def lookups(self) -> list[str]:
        return [LOOKUP_SEP.join((*self.path, column)) for column in self.columns]

    def read(self, values: Sequence[Any], *, alias: str) -> models.Model | None:
        """Return the model's instance; None where an outer join found nothing."""
        own = dict(zip(self.columns, values[self.start :], strict=False))
        key: Any = self.model._meta.pk
        return None if own[key.attname] is None else self.model.from_db(alias, self.columns, list(own.values()))


class Lookup(Generic[Row]):
    """Find the row of ``model`` that has a text in its unique column ``by``, with the rows that ``related`` leads to.

    ``related`` names every step, so ``grant`` before ``grant__user``; ``unused`` are columns to leave in the database,
    as for ``defer``.
    """

    def __init__(self, model: type[Row], *, by: str, related: Sequence[str] = (), unused: Sequence[str] = ()) -> None:
        self._model, self._by = model, by
        self._paths = [(), *(tuple(path.split(LOOKUP_SEP)) for path in related)]
        self._unused = frozenset(unused)
        self._compiled = cache(self._compile)

    def find(self, text: str) -> Row | None:
        """Return the row from the database that is written to, or None. One statement."""
        alias = write_alias()
        sql, converters, parts = self._compiled(alias)
        connection = connections[alias]
        with connection.cursor() as cursor:
            cursor.execute(sql, [text])
            found = cursor.fetchone()
        if found is None:
            return None
        values = list(found)
        for position, functions, expression in converters:
            for function in functions:
                values[position] = function(values[position], expression, connection)
        row: Any = parts[0].read(values, alias=alias)
        for part in parts[1:]:
            *owner, name = part.path
            setattr(attrgetter(".".join(owner))(row) if owner else row, name, part.read(values, alias=alias))
        return row  # type: ignore[no-any-return]  # built by from_db of the model

    def _compile(self, alias: str) -> tuple[str, list[Converter], list[_Part]]:
        """Return the statement, how its columns become Python values, and whose they are."""
        parts = self._parts()
        lookups = [lookup for part in parts for lookup in part.lookups]
        rows = self._model._default_manager.filter(**{self._by: ""}).values_list(*lookups)
        compiler = rows.query.get_compiler(using=alias)
        sql, _values = compiler.as_sql()
        converters = compiler.get_converters([expression for expression, *_rest in compiler.select])
        return sql, [(position, *converter) for position, converter in converters.items()], parts

    def _parts(self) -> list[_Part]:
        parts: list[_Part] = []
        for path in self._paths:
            model: Any = self._model
            for name in path:
                model = model._meta.get_field(name).related_model
            names = [field.attname for field in model._meta.concrete_fields]
            columns = [name for name in names if LOOKUP_SEP.join((*path, name)) not in self._unused]
            parts.append(_Part(model=model, path=path, columns=columns, start=sum(len(part.columns) for part in parts)))
        return parts


class ConditionalUpdate:
    """Write columns of a row if it is still one of ``rows``, and has what was read in each column of ``unchanged``."""

    def __init__(self, rows: Callable[[], models.QuerySet[Any]], *, unchanged: Sequence[str]) -> None:
        self._rows, self._unchanged = rows, unchanged
        self._statements: dict[Any, tuple[str, bool]] = {}

    def run(self, row: models.Model, columns: Mapping[str, Any]) -> bool:
        """Return whether the row was written. One statement."""
        connection = connections[write_alias()]
        # A column that is to be null makes it another statement: before Django 6.1, NULL is written into it.
        shape = (connection.alias, *((name, value is None) for name, value in columns.items()))
        if shape not in self._statements:
            self._statements[shape] = self._compile(row, columns, alias=connection.alias)
        sql, takes_nulls = self._statements[shape]
        written = [(name, value) for name, value in columns.items() if takes_nulls or value is not None]
        tested = [(name, getattr(row, name)) for name in self._unchanged]
        values = [_prepared(row._meta.get_field(name), value, connection) for name, value in written + tested]
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            return bool(cursor.rowcount)

    def _compile(self, row: models.Model, columns: Mapping[str, Any], *, alias: str) -> tuple[str, bool]:
        """Return the statement, and whether it takes a value for a column that is to be null."""
        rows = self._rows()
        for name in self._unchanged:  # one by one: a filter of several sorts them
            rows = rows.filter(**{name: getattr(row, name)})
        query: Any = rows.query.chain(UpdateQuery)
        query.add_update_values(columns)
        sql, values = query.get_compiler(using=alias).as_sql()
        return str(sql), len(values) == len(columns) + len(self._unchanged)


def insert(row: models.Model) -> None:
    """Insert ``row``. No signal of Django's is sent, and the row does not learn its key: nobody asks for it."""
    connection = connections[write_alias()]
    values = [_prepared(field, getattr(row, field.attname), connection) for field in _written(type(row))]
    with connection.cursor() as cursor:
        cursor.execute(_insertion(type(row), connection.alias), values)


@cache
def _insertion(model: type[models.Model], alias: str) -> str:
    query = InsertQuery(model)
    query.insert_values(_written(model), [model()])
    ((sql, _values),) = query.get_compiler(using=alias).as_sql()
    return str(sql)


def _written(model: type[models.Model]) -> "list[models.Field[Any, Any]]":
    """Return the fields of a new row: all but the key, which the database makes."""
    return [field for field in model._meta.concrete_fields if not field.primary_key]


def _prepared(field: Any, value: Any, connection: Any) -> Any:
    return field.get_db_prep_save(value, connection=connection)
