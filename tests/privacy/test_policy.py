"""The [privacy] table: what it says, and errors that name the key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from afoot.config import Config, load_config
from afoot.errors import UsageError
from afoot.privacy.policy import Policy

SECRETS = {
    "KEY": "a key that nobody can guess",
    "SHORT": "guessed",
    "SEAL": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "BAD": "AAAA",
}
LEAST = '[privacy]\nkey = "${KEY}"\n'


def read(folder: Path, text: str) -> Config:
    path = folder / "afoot.toml"
    path.write_text(text, "utf-8")
    return load_config(path, environment=SECRETS)


def test_without_the_table_nothing_is_redacted(tmp_path: Path) -> None:
    assert read(tmp_path, "").privacy is None
    assert load_config(None).privacy is None


def test_the_least_policy_hides_everything_that_is_known(tmp_path: Path) -> None:
    policy = read(tmp_path, LEAST).privacy
    assert policy == Policy(SECRETS["KEY"])
    assert (policy.addresses, policy.scrub, policy.dead_letters) == ("hash", ("token", "mail", "card"), "drop")


def test_every_key_is_read(tmp_path: Path) -> None:
    whole = f"""{LEAST}addresses = "truncate"
ipv4_bits = 16
ipv6_bits = 32
scrub = ["mail"]
drop_labels = ["user", "client_*"]
hash_labels = ["customer"]
dead_letters = "encrypt"
dead_letters_key = "${{SEAL}}"
[privacy.patterns]
employee = 'E-\\d+'
"""
    assert read(tmp_path, whole).privacy == Policy(
        SECRETS["KEY"],
        "truncate",
        16,
        32,
        ("mail",),
        (("employee", r"E-\d+"),),
        ("user", "client_*"),
        ("customer",),
        "encrypt",
        SECRETS["SEAL"],
    )


def test_the_page_s_example_is_a_policy(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text("utf-8")
    (block,) = re.findall(r"^```toml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    names = {"AFOOT_PRIVACY_KEY": "KEY", "AFOOT_DEAD_LETTERS_KEY": "SEAL"}
    for name, ours in names.items():
        block = block.replace(name, ours)
    policy = read(tmp_path, block).privacy
    assert policy is not None and policy.patterns == (("employee", r"E-\d{6}"),)


def test_the_keys_are_never_shown(tmp_path: Path) -> None:
    config = read(tmp_path, f'{LEAST}dead_letters = "encrypt"\ndead_letters_key = "${{SEAL}}"\n')
    for secret in (SECRETS["KEY"], SECRETS["SEAL"]):
        assert secret not in repr(config.privacy)
        assert secret not in config.described(f"it said {secret}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[privacy]\n", ["[privacy] key is missing", "16 or more"]),
        ('[privacy]\nkey = "${SHORT}"\n', ["[privacy] key has 7 characters", "16 or more"]),
        ('[privacy]\nkey = "a key that stands here"\n', ["[privacy] key", "${NAME}", "no secret stands in this file"]),
        (LEAST + 'addresses = "truncated"\n', ["[privacy] addresses", "did you mean 'truncate'"]),
        (LEAST + "ipv4_bits = 33\n", ["[privacy] ipv4_bits", "33", "from 1 to 32"]),
        (LEAST + 'scrub = ["mails"]\n', ["[privacy] scrub", "did you mean 'mail'"]),
        (LEAST + 'scrub = "mail"\n', ["[privacy] scrub", "a list of texts"]),
        (LEAST + "drop_labels = [1]\n", ["[privacy] drop_labels", "a list of texts"]),
        (LEAST + "patterns = 'x'\n", ["[privacy] patterns", "a table"]),
        (LEAST + "[privacy.patterns]\nx = '('\n", ["[privacy.patterns] x", "no regular expression"]),
        (LEAST + "[privacy.patterns]\nx = 'a*'\n", ["[privacy.patterns] x", "matches nothing"]),
        (LEAST + "[privacy.patterns]\naddr = 'a'\n", ["[privacy.patterns] addr", "none of token, mail, card, addr"]),
        (LEAST + 'dead_letters = "keep"\n', ["[privacy] dead_letters", "drop, encrypt"]),
        (LEAST + 'dead_letters = "encrypt"\n', ["[privacy] dead_letters_key", "encrypt"]),
        (LEAST + 'dead_letters_key = "${SEAL}"\n', ["[privacy] dead_letters_key", "encrypt"]),
        (LEAST + 'dead_letters = "encrypt"\ndead_letters_key = "${BAD}"\n', ["dead_letters_key", "32 bytes in base64"]),
        (LEAST + "drop_lables = []\n", ["[privacy] unknown key", "did you mean 'drop_labels'"]),
    ],
)
def test_errors_name_the_key_and_what_is_allowed(text: str, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    assert all(word in str(caught.value) for word in [str(tmp_path / "afoot.toml"), *words]), str(caught.value)
    assert not any(secret in str(caught.value) for secret in SECRETS.values())
