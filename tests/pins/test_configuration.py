"""pip's configuration, as pip itself lists it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.errors import NotRunError
from envcap.pins.configuration import configure, parse_listing, place, read_configuration, settle, with_login

if TYPE_CHECKING:
    from tests.pins.conftest import Environment

SECTIONS = st.sampled_from(["global", "install", ":env:", "download"])
OPTIONS = st.from_regex(r"[a-z][a-z-]{0,20}", fullmatch=True)
CANARY = "c4n4ry-s3cret"
DEFAULT = "https://index.example.org/simple"


@given(st.lists(st.tuples(SECTIONS, OPTIONS, st.text())))
def test_what_pip_prints_is_what_we_read(settings: list[tuple[str, str, str]]) -> None:
    listing = "\n".join(f"{section}.{option}={value!r}" for section, option, value in settings)
    assert parse_listing(listing) == settings


@given(st.text())
def test_any_other_text_is_passed_over(text: str) -> None:
    assert all(isinstance(value, str) for _, _, value in parse_listing(text))


@given(
    user=st.text(min_size=1), password=st.text(min_size=1), host=st.from_regex(r"[a-z]{1,9}\.example", fullmatch=True)
)
def test_a_login_is_split_off_and_never_shown(user: str, password: str, host: str) -> None:
    secret = f"{quote(user, safe='')}:{quote(password, safe='')}"
    found = place(f"https://{secret}@{host}/simple/")
    assert found.url == found.public == f"https://{host}/simple/"
    assert found.login is not None
    assert (found.login.user, found.login.password) == (user, password)
    assert repr(found) == f"Place('https://{host}/simple/')"
    assert repr(found.login) == "Login(***)"
    assert place(with_login(found)) == found


def test_defaults_are_those_of_pip() -> None:
    found = configure([], default_index=DEFAULT)
    assert [index.url for index in found.indexes] == [DEFAULT]
    assert (found.find_links, found.timeout, found.retries, found.keyring) == ([], 15.0, 5, "auto")


def test_the_environment_wins_over_install_over_global_and_empty_values_do_not_count() -> None:
    settings = [
        (":env:", "timeout", "3"),
        ("install", "default-timeout", "2"),
        ("global", "timeout", "1"),
        ("install", "index-url", "https://two.example.org/simple"),
        ("global", "index-url", "https://one.example.org/simple"),
        (":env:", "index-url", ""),
        ("download", "index-url", "https://other.example.org/simple"),
    ]
    found = configure(settings, default_index=DEFAULT)
    assert found.timeout == 3.0
    assert [index.url for index in found.indexes] == ["https://two.example.org/simple"]


def test_lists_may_take_several_lines_and_name_folders(tmp_path: Path) -> None:
    settings = [
        ("global", "extra-index-url", "\nhttps://a.example.org/simple\nhttps://b.example.org/simple"),
        ("global", "find-links", f"{tmp_path}\nfile:///srv/wheels https://c.example.org/links.html"),
        ("global", "trusted-host", "a.example.org b.example.org:8443"),
    ]
    found = configure(settings, default_index=DEFAULT)
    assert [index.url for index in found.indexes][1:] == [
        "https://a.example.org/simple",
        "https://b.example.org/simple",
    ]
    assert [(links.url, links.local) for links in found.find_links] == [
        (tmp_path.as_uri(), True),
        ("file:///srv/wheels", True),
        ("https://c.example.org/links.html", False),
    ]
    assert found.trusted_hosts == ["a.example.org", "b.example.org:8443"]


@pytest.mark.parametrize(("value", "indexes"), [("1", 0), ("true", 0), ("no", 1), ("", 1)])
def test_no_index(value: str, indexes: int) -> None:
    assert len(configure([("global", "no-index", value)], default_index=DEFAULT).indexes) == indexes


@pytest.mark.parametrize(
    "setting",
    [
        ("global", "index-url", "https://user:c4n4ry-s3cret@[broken/simple"),
        ("global", "extra-index-url", "https://user:c4n4ry-s3cret@host.example.org:port/simple"),
        ("global", "timeout", "soon"),
    ],
)
def test_a_value_that_cannot_be_meant_is_named_without_its_secret(setting: tuple[str, str, str]) -> None:
    with pytest.raises(NotRunError) as caught:
        configure([setting], default_index=DEFAULT)
    assert "c4n4ry-s3cret" not in caught.value.message + repr(caught.value.__cause__)
    assert "pip config debug" in caught.value.hint


def _configure_pip(monkeypatch: pytest.MonkeyPatch, file: Path, text: str) -> None:
    file.write_text(text)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(file))
    for name in ("PIP_FIND_LINKS", "PIP_CERT", "PIP_DEFAULT_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)


def test_files_and_variables_that_pip_honours_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _configure_pip(
        monkeypatch,
        tmp_path / "pip.conf",
        "[global]\nquiet = 2\nindex-url = https://me:c4n4ry-s3cret@main.example.org/simple\ncert = /etc/company.pem\n"
        "timeout = 7\n[install]\nextra-index-url =\n    https://a.example.org/simple\n    https://b.example.org/simple\n",
    )
    monkeypatch.setenv("PIP_TIMEOUT", "9")
    found = read_configuration(Path(sys.executable))
    assert [index.url for index in found.indexes] == [
        "https://main.example.org/simple",
        "https://a.example.org/simple",
        "https://b.example.org/simple",
    ]
    assert found.indexes[0].login is not None
    assert found.indexes[0].login.password == CANARY
    assert (found.certificate, found.timeout) == ("/etc/company.pem", 9.0)
    assert "c4n4ry-s3cret" not in repr(found)


def test_an_environment_without_pip_still_has_its_own_configuration(
    environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (environment.folder / "pip.conf").write_text("[global]\nindex-url = https://site.example.org/simple\n")
    _configure_pip(
        monkeypatch, tmp_path / "a.conf", "[global]\nindex-url = https://user.example.org/simple\nretries = 2\n"
    )
    found = read_configuration(environment.python)
    assert found.retries == 2
    # pip lists both values, that of the environment last; PIP_CONFIG_FILE wins all the same.
    assert [index.url for index in found.indexes][:1] == ["https://user.example.org/simple"]


def test_an_interpreter_that_pip_cannot_run_in_gets_the_machine_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _configure_pip(monkeypatch, tmp_path / "pip.conf", "[global]\nno-index = yes\n")
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    assert read_configuration(old).indexes == []


def test_a_broken_configuration_is_an_error_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _configure_pip(monkeypatch, tmp_path / "pip.conf", "[global\nnot a setting\n")
    with pytest.raises(NotRunError, match="Reading pip's configuration failed"):
        read_configuration(Path(sys.executable))


def test_of_several_files_the_one_of_the_highest_rank_wins() -> None:
    listed = [("global", "timeout", "env"), ("global", "timeout", "site"), ("global", "timeout", "user")]
    files = """env_var:
  PIP_TIMEOUT='1'
env:
  /a/env.conf, exists: True
    global.timeout: env
global:
  /etc/pip.conf, exists: False
site:
  /m/site.conf, exists: True
    global.timeout: site
user:
  /z/user.conf, exists: True
    global.timeout: user
"""
    assert settle(listed, files=files) == [("global", "timeout", "env")]
    without_env = files.replace("    global.timeout: env\n", "")
    assert settle(listed[1:], files=without_env) == [("global", "timeout", "site")]
