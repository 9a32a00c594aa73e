"""The contacts file: what is wrong with it is told with its place and the mend, and never with a number."""

from pathlib import Path

import pytest

from stream.config import ConfigError
from stream.notify.contacts import read


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
    ],
)
def test_what_is_wrong_is_told_with_the_mend(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text, Path("contacts.toml"))
    assert str(caught.value).startswith(f"contacts.toml: {told}")
    assert "13800138000" not in str(caught.value)
