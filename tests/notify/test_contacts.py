"""The contacts file: what is wrong with it is told with its place and the mend, and never with a number."""

from pathlib import Path

import pytest

from stream.config import ConfigError
from stream.notify.contacts import Address, read


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("contacts = 3", "contacts: Expected a table, got `int`; write [contacts]"),
        ("[contact]", "contact: no such name; did you mean contacts?"),
        ('"subscriber|+8613800138000" = "mailto:a@b"', "subscriber|+****: no such name; there are: contacts"),
        ('[contacts]\n"sender|A" = "mailto:a@b"\n"sender|B" = 3', "contact 2: an address is a text"),
        ('[contacts]\n"subscriber|+8613800138000" = ""', "contact 1: an address is mailto:name@domain or https://…"),
        ('[contacts]\n"+8613800138000" = "mailto:a@b"', "contact 1: an addressee is sender|…, "),
        ("[contacts", "not TOML: "),
        ("contacts = " + "[" * 100_000, "not TOML: "),
        ("contacts = " + "1" * 5_000, "not TOML: "),
    ],
)
def test_what_is_wrong_is_told_with_the_mend(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text, Path("contacts.toml"))
    assert str(caught.value).startswith(f"contacts.toml: {told}")
    assert "13800138000" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "mailto:SECRET@例子.cn",
        "mailto:例SECRET@a.cn",
        f"mailto:SECRET@{'l' * 64}.cn",
        f"mailto:{'SECRET' * 11}@a.cn",
        "mailto:SECRET@a.cn%0d%0aBcc: b@c",
        "mailto:SECRET@a.cn?bcc=b@c",
        "mailto:SECRET",
        f"https://{'l' * 64}.cn/SECRET",
        "https://u:SECRET@例子.cn/",
        "https://u:SECRET@[::1",
        "https://[::1]more/SECRET",
        "https://a..b/SECRET",
        "https://a b/SECRET",
        "https://a/SECRET\\u0000",
        "https://a:70000/SECRET",
        "https://SECRET@/",
        "http://a.cn/SECRET",
        "ftp://a/SECRET",
    ],
)
def test_an_address_that_no_transport_can_take_is_refused_as_contacts_are_loaded_and_not_repeated(address: str) -> None:
    with pytest.raises(ConfigError, match=r"^contacts\.toml: contact 2: ") as caught:
        read(f'[contacts]\n"sender|A" = "mailto:a@b"\n"sender|B" = "{address}"', Path("contacts.toml"))
    assert "SECRET" not in str(caught.value)


def test_addresses_of_all_forms_that_transports_take() -> None:
    taken = {
        "mailto:a.b+c@example.com": Address("smtp", "a.b+c@example.com"),
        "MAILTO:a%40b": Address("smtp", "a@b"),
        "mailto:a@xn--fsqu00a.cn": Address("smtp", "a@xn--fsqu00a.cn"),
        "https://u:p@[::1]:8443/路?key=1": Address("webhook", "https://u:p@[::1]:8443/路?key=1"),
        "http://127.0.0.1:80/": Address("webhook", "http://127.0.0.1:80/"),
    }
    for address, meant in taken.items():
        assert read(f'[contacts]\n"sender|A" = "{address}"', Path("c.toml")).address("sender|A") == meant
