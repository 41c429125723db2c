"""restore, revert, undo, redo and yank as a user types them."""


def live(lastgood):
    return lastgood("show", "churn@production", "--json").json["version"]


def test_undo_and_redo(churn):
    churn("promote", "churn/2", "--to", "production", "--reason", "second")
    plan = churn("undo", "churn", "--plan")
    assert "production: version 2 -> version 1" in plan.out
    assert live(churn) == 2
    done = churn("undo", "churn", "--reason", "oops")
    assert (done.code, live(churn)) == (0, 1)
    assert "lastgood redo churn" in done.out
    assert churn("redo", "--json").json["effects"][0] == "production: version 1 -> version 2"
    assert churn("redo").code == 4


def test_the_undo_of_a_revert_works_as_printed(churn):
    moved = churn("promote", "churn/2", "--to", "production", "--reason", "x", "--json").json
    back = churn("revert", moved["operation"][:9], "--json").json
    assert live(churn) == 1
    assert churn(*back["undo"].split()[1:]).code == 0
    assert live(churn) == 2
    refused = churn("revert", churn("log", "churn", "--json").json["operations"][-1]["operation"])
    assert (refused.code, "cannot be taken back" in refused.err) == (3, True)


def test_restore_by_operation_and_by_time(churn):
    then = churn("log", "churn", "--json").json["operations"][0]["operation"]
    churn("promote", "churn/2", "--to", "production", "--reason", "x")
    churn("promote", "churn/3", "--to", "champion", "--reason", "x")
    assert "version 2 -> version 1" in churn("restore", "churn", "--at", then, "--plan").out
    done = churn("restore", "churn", "--at", then, "--reason", "as it was")
    assert (done.code, live(churn)) == (0, 1)
    assert "champion: version 3 -> nothing" in done.out
    assert churn("restore", "churn", "--at", "1000d ago").code == 3
    assert churn("restore", "churn", "--at", "whenever").code == 2


def test_yank_and_what_it_forbids(churn):
    assert churn("yank", "churn/2").code == 2  # a reason is needed
    done = churn("yank", "churn/2", "--reason", "trained on leaked labels")
    assert (done.code, "churn/2 yanked" in done.out) == (0, True)
    assert "yanked" in churn("list", "churn").out
    refused = churn("promote", "churn/2", "--to", "production", "--reason", "x")
    assert (refused.code, "--allow-yanked" in refused.err) == (3, True)
    assert (
        churn("promote", "churn/2", "--to", "production", "--reason", "x", "--allow-yanked").code
        == 0
    )
