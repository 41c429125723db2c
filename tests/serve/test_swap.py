from conftest import digests, eventually


def test_it_serves_what_the_ref_points_to(feed, gateway, sklearn_models):
    known = digests(feed, sklearn_models)
    feed.point(1, known[1], seq=7)
    running = gateway().wait_listening().wait_serving(1)
    answer = running.ask()
    assert answer.status_code == 200
    assert answer.json() == {"predictions": [1]}
    assert answer.headers["x-lastgood-version"] == "1"
    assert answer.headers["x-lastgood-digest"] == known[1]
    assert running.stop() == 0
    assert [kind for kind, _, _ in feed.events()] == ["following", "loading", "loaded", "serving", "stopped"]
