"""Webhooks. No request here makes a server send anything: what is told never happens, or nobody is told it."""

from hypothesis import strategies as st

from differential.request import PREFIX, call, fields
from differential.values import RESULTS, at_most_one_in

__all__ = ["WEBHOOK_CALLS"]

HOOK = f"{PREFIX}/webhooks"
NAME = at_most_one_in(
    5,
    st.sampled_from(["", "⟦p⟧-", "-⟦p⟧", "⟦p⟧ a", "⟦p⟧é", "⟦p⟧" + "h" * 57, "⟦p⟧" + "h" * 58]),
    st.sampled_from(["⟦p⟧", "⟦p⟧.a_b-c"]),
)
URL = at_most_one_in(
    5,
    st.sampled_from(
        [
            *(
                "",
                " ",
                "x",
                "ftp://127.0.0.1/x",
                "https://",
                "https:///x",
                "https://[::1",
                "file:///x",
            ),
            *("https://127.0.0.1:99999/x", "https://127.0.0.1:9/" + "u" * 500),
        ]
    ),
    st.sampled_from(["https://127.0.0.1:9/x", "http://127.0.0.1:9/x?y=z"]),
)
EVENT = at_most_one_in(
    6,
    st.sampled_from(
        [
            *({}, {"entity": "PROMPT"}, {"action": "CREATED"}),
            *({"entity": "PROMPT", "action": "DELETED"}, {"entity": "NOPE", "action": "CREATED"}),
            *({"entity": "PROMPT", "action": "nope"}, {"entity": 99, "action": 1}),
        ]
    ),
    st.sampled_from(
        [
            {"entity": "PROMPT", "action": "CREATED"},
            {"entity": "PROMPT_TAG", "action": "DELETED"},
            {"entity": "PROMPT_ALIAS", "action": "CREATED"},
        ]
    ),
)
TEXTS = {
    "description": st.sampled_from(["", "d", "é💡", "d" * 1000, "d" * 1001]),
    "secret": st.sampled_from(["", "s", "s" * 1000]),
    "status": at_most_one_in(6, st.sampled_from(["nope", "", 9]), st.sampled_from(["DISABLED", 2])),
}
WEBHOOK_CALLS = [
    *[
        call(
            "POST",
            "/webhooks",
            fields({"name": NAME, "url": URL, "events": st.lists(EVENT, max_size=2)}, **TEXTS),
        )
    ]
    * 3,
    call("GET", "/webhooks", fields({}, max_results=RESULTS)),
    call("GET", f"{HOOK}/⟦webhook:0⟧", fields({})),
    call("GET", f"{HOOK}/nope", fields({})),
    call(
        "PATCH",
        f"{HOOK}/⟦webhook:0⟧",
        fields({}, name=NAME, url=URL, events=st.lists(EVENT, max_size=2), **TEXTS),
    ),
    call("DELETE", f"{HOOK}/⟦webhook:1⟧", fields({})),
]
