"""Columns that tables of all groups have."""

from sqlalchemy import BigInteger, Column, Computed, Integer, MetaData, String, Text

__all__ = ["HEAD_LENGTH", "Big", "chars", "head", "metadata", "text"]

HEAD_LENGTH = 200  # characters of a parameter or tag that are indexed

metadata = MetaData()
# SQLite's INTEGER has 64 bits and can be the row id. PostgreSQL's has 32, and would refuse to look for more.
Big = BigInteger().with_variant(Integer, "sqlite")
# In PostgreSQL as in SQLite: text has no bound of its own (the engine states the limits), and is ordered by its bytes.
text = Text().with_variant(Text(collation="C"), "postgresql")


def chars(length: int) -> String:
    """Text of at most so many characters, ordered by its bytes."""
    return String(length).with_variant(Text(collation="C"), "postgresql")


def head() -> Column[str]:
    """What is indexed of a value that may have thousands of characters."""
    return Column(
        "head", chars(HEAD_LENGTH), Computed(f"substr(value, 1, {HEAD_LENGTH})", persisted=True)
    )
