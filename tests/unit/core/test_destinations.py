import pytest

from lastgood.core.destinations import (
    Outcome,
    check_addresses,
    parse_destination,
    pause_before_retry,
)
from lastgood.errors import InvalidInput

DAY = 86_400.0


@pytest.mark.parametrize(
    ("url", "authority", "target"),
    [
        ("https://hooks.example.com/a/b?c=d", "hooks.example.com", "/a/b?c=d"),
        ("https://hooks.example.com:443", "hooks.example.com", "/"),
        ("http://127.0.0.1:9000/x", "127.0.0.1:9000", "/x"),
        ("http://[::1]:9000/x", "[::1]:9000", "/x"),
        ("https://hooks.example.com/a#fragment", "hooks.example.com", "/a"),
    ],
)
def test_what_a_webhook_may_be_sent_to(url, authority, target):
    found = parse_destination(url)
    assert (found.authority, found.target) == (authority, target)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "  ",
        "hooks.example.com",
        "ftp://hooks.example.com",
        "file:///etc/passwd",
        "gopher://127.0.0.1:25/x",
        "https://",
        "https://user:secret@hooks.example.com",
        "https://hooks.example.com:99999/",
        "https://hooks.example.com:x/",
        "https://[::1/",
        "http://127.1/",
        "http://0177.0.0.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "https://hooks.example.com\\@127.0.0.1/",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/\r\nHost: other",
        "https://höoks.example.com/",
        "https://hooks.example.com/" + "a" * 500,
    ],
)
def test_what_a_webhook_may_not_be_sent_to(url):
    with pytest.raises(InvalidInput):
        parse_destination(url)


@pytest.mark.parametrize(
    ("address", "https", "http"),
    [
        # what each reach allows: public, loopback, private
        ("93.184.216.34", "yyy", "nny"),
        ("2606:2800:220:1::1", "yyy", "nny"),
        ("127.0.0.1", "nyy", "nyy"),
        ("::1", "nyy", "nyy"),
        ("::ffff:127.0.0.1", "nyy", "nyy"),
        ("10.0.0.5", "nny", "nny"),
        ("192.168.1.1", "nny", "nny"),
        ("172.16.0.1", "nny", "nny"),
        ("169.254.169.254", "nny", "nny"),
        ("100.64.0.1", "nny", "nny"),
        ("::ffff:169.254.169.254", "nny", "nny"),
        ("2002:a9fe:a9fe::1", "nny", "nny"),
        ("64:ff9b::a9fe:a9fe", "nny", "nny"),
        ("fe80::1", "nny", "nny"),
        ("fe80::1%eth0", "nny", "nny"),
        ("fd00::1", "nny", "nny"),
        ("0.0.0.0", "nnn", "nnn"),
        ("::", "nnn", "nnn"),
        ("224.0.0.1", "nnn", "nnn"),
        ("255.255.255.255", "nnn", "nnn"),
    ],
)
def test_which_addresses_are_within_reach(address, https, http):
    for scheme, expected in (("https", https), ("http", http)):
        destination = parse_destination(f"{scheme}://hooks.example.com/")
        for reach, allowed in zip(("public", "loopback", "private"), expected, strict=True):
            if allowed == "y":
                assert check_addresses(destination, [address], reach=reach)
            else:
                with pytest.raises(InvalidInput, match="must not resolve to a non-public"):
                    check_addresses(destination, [address], reach=reach)


def test_one_address_out_of_reach_is_enough_to_refuse_a_name():
    destination = parse_destination("https://hooks.example.com/")
    assert str(check_addresses(destination, ["93.184.216.34"], reach="public"))
    with pytest.raises(InvalidInput):
        check_addresses(destination, ["93.184.216.34", "10.0.0.5"], reach="public")
    with pytest.raises(InvalidInput, match="Cannot resolve"):
        check_addresses(destination, [], reach="public")


@pytest.mark.parametrize(
    ("status", "attempts", "age_s", "pause"),
    [
        (200, 1, 0, None),
        (204, 1, 0, None),
        (None, 1, 0, 1),
        (None, 4, 0, 8),
        (503, 20, DAY - 1, 300),
        (503, 20, DAY + 1, None),
        (429, 3, 0, 4),
        (500, 3, 0, 4),
        (500, 4, 0, None),
        (501, 4, 0, None),
        (302, 1, 0, None),
        (404, 1, 0, None),
        (410, 1, 0, None),
    ],
)
def test_when_a_delivery_is_repeated(status, attempts, age_s, pause):
    assert pause_before_retry(Outcome(status=status), attempts=attempts, age_s=age_s) == pause


def test_a_receiver_may_ask_for_a_longer_pause_but_not_for_ever():
    def pause(seconds):
        outcome = Outcome(status=429, retry_after_s=seconds)
        return pause_before_retry(outcome, attempts=1, age_s=0)

    assert (pause(0.0), pause(20.0), pause(10.0**9)) == (1, 20, 3600)


def test_what_was_forbidden_is_not_tried_again():
    assert pause_before_retry(Outcome(forbidden=True), attempts=1, age_s=0) is None
