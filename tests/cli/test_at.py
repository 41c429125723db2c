"""--at as a user types it."""


def test_list_show_log_live_and_diff_as_of_an_operation(churn):
    then = churn("log", "churn", "--json").json["operations"][0]["operation"]
    churn("promote", "churn/2", "--to", "production", "--reason", "x")
    churn("yank", "churn/1", "--reason", "x")
    assert churn("show", "churn", "--at", then, "--json").json["version"] == 1
    assert churn("show", "churn", "--json").json["version"] == 2
    listed = churn("list", "churn", "--at", then)
    assert (listed.code, "yanked" in listed.out, "as of the end of op-" in listed.out) == (
        0,
        False,
        True,
    )
    assert churn("log", "churn", "--at", then, "--json").json["operations"][0]["operation"] == then
    assert churn("live", "churn", "--at", then, "--json").json["live"][0]["version"] == 1
    assert churn("diff", "churn", "churn/1", "--at", then).code == 0
    assert churn("diff", "churn", "churn/1").code == 1
    assert (
        "churn" in churn("list", "--at", "1s ago").out or churn("list", "--at", "1s ago").code == 0
    )
    assert churn("list", "churn", "--at", "2d ago").code == 4
    assert churn("list", "churn", "--at", "op-zz").code == 2
