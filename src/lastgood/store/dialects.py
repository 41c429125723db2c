"""What SQLite and PostgreSQL write, or mean, differently, each as one construct for both."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

__all__ = ["insert", "json_pairs", "json_text", "plain"]


def insert(table: sa.Table) -> postgresql.Insert:
    """An insert that can say what to do about a row that is there already: ON CONFLICT.

    SQLite took the clause over from PostgreSQL, and SQLAlchemy's compilers for both write this construct alike.
    """
    return postgresql.insert(table)


class json_text(GenericFunction[str]):  # noqa: N801 - named as the function it stands for
    """The text at a key of a text that holds a JSON object; NULL if there is none."""

    type = sa.String()
    inherit_cache = True


@compiles(json_text, "sqlite")
def _json_text_sqlite(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    column, key = (compiler.process(clause, **options) for clause in element.clauses)
    return f"json_extract({column}, '$.\"' || {key} || '\"')"


@compiles(json_text, "postgresql")
def _json_text_postgresql(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    column, key = (compiler.process(clause, **options) for clause in element.clauses)
    return f"({column}::json ->> {key})"


class json_pairs(GenericFunction[str]):  # noqa: N801 - named as the function it stands for
    """The keys and values of all rows as JSON, ``[{"key": …, "value": …}, …]``; both are texts."""

    type = sa.String()
    inherit_cache = True


@compiles(json_pairs, "sqlite")
def _json_pairs_sqlite(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    key, value = (compiler.process(clause, **options) for clause in element.clauses)
    return f"json_group_array(json_object('key', {key}, 'value', {value}))"


@compiles(json_pairs, "postgresql")
def _json_pairs_postgresql(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    key, value = (compiler.process(clause, **options) for clause in element.clauses)
    pairs = f"json_agg(json_build_object('key', {key}, 'value', {value}))"
    return f"coalesce({pairs}::text, '[]')"


class plain(GenericFunction[bool]):  # noqa: N801 - reads as a function
    """A LIKE in which a backslash is a character like any other, as SQLite has it."""

    type = sa.Boolean()
    inherit_cache = True


@compiles(plain, "sqlite")
def _plain_sqlite(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    (like,) = element.clauses
    return compiler.process(like, **options)


@compiles(plain, "postgresql")
def _plain_postgresql(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    (like,) = element.clauses
    return f"{compiler.process(like, **options)} ESCAPE ''"
