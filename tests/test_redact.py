"""No credential gets through, in whatever shape of address it comes, and nothing else is taken away."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.redact import (
    exposed_line,
    holds_credentials,
    is_secret_name,
    may_be_key,
    redact_text,
    strip_credentials,
    strip_exposed,
    strip_index,
)

CANARY = "c4n4ry"
TOKEN = f"x7Qp{CANARY}9Zk2Wd4Rt8"
HIDING_PLACES = [
    f"https://{CANARY}@example.org/simple/",
    f"https://user:{CANARY}@example.org/simple/",
    f"https://user:{CANARY}@example.org:8443/simple/",
    f"https://{CANARY}:x-oauth-basic@example.org/team/repo.git",
    f"https://user:p@ss{CANARY}@example.org/simple/",
    f"https://user:p%40{CANARY}@example.org/",
    f"https://user:{CANARY}@[2001:db8::1]:80/x",
    f"HTTPS://User:{CANARY}@EXAMPLE.ORG/",
    f"http://user:{CANARY}@example.org",
    f"git+https://{CANARY}@example.org/team/repo.git@0123abc#egg=x",
    f"git+ssh://git:{CANARY}@example.org/team/repo.git",
    f"ssh://{CANARY}@example.org/team/repo.git",
    f"ftp://anonymous:{CANARY}@example.org/",
    f"postgresql+psycopg://user:{CANARY}@db.example.org/x",
    f"https://conda.example.org/t/{CANARY}/channel/linux-64",
    f"https://conda.example.org/t/{CANARY}",
    f"https://conda.example.org/t/{CANARY}?x=1",
    f"https://conda.example.org/t/first/t/{CANARY}/channel",
    f"https://example.org/x?token={CANARY}",
    f"https://example.org/x?a=1&private_token={CANARY}&b=2",
    f"https://example.org/x?a=1;access_token={CANARY}",
    f"https://example.org/x?%74oken={CANARY}",
    f"https://example.org/x?TOKEN={CANARY}#part",
    f"https://example.org/x?X-Amz-Signature={CANARY}",
    f"https://example.org/x?X-Amz-Credential={CANARY}%2F2024",
    f"https://example.org/x?sv=2020&sig={CANARY}",
    f"https://example.org/x?key={CANARY}",
    f"https://example.org/x?api_key={CANARY}&apikey={CANARY}",
    f"https://example.org/x#access_token={CANARY}",
    f"https://example.org/x?next=https://user:{CANARY}@example.org/",
    f"https://user@x:{CANARY}@example.org/",
    f"https://user:it's{CANARY}@example.org/",
    f"https://dl.example.org/{TOKEN}/team/repo/python/simple/",
    f"https://dl.example.org/{TOKEN}/team/repo/python/x-1.0-py3-none-any.whl",
    f"https://example.org/priv/{TOKEN}/team/repo/pypi/simple/x/",
    f"https://example.org/team/{TOKEN}/simple",
]


@pytest.mark.parametrize("address", HIDING_PLACES)
def test_no_canary_survives(address: str) -> None:
    assert CANARY not in strip_credentials(address)
    for text in (address, f"before {address} after", f"X_{address}", f"url='{address}'", f"<{address}>", f"({address}"):
        shown = redact_text(text)
        assert CANARY not in shown
        assert "***" in shown


@pytest.mark.parametrize(
    ("address", "stripped"),
    [
        ("https://user:secret@example.org:8443/simple/", "https://example.org:8443/simple/"),
        ("git+https://secret@example.org/r.git@0123abc#egg=x", "git+https://example.org/r.git@0123abc#egg=x"),
        ("ssh://git@example.org/team/repo.git", "ssh://git@example.org/team/repo.git"),
        ("git+ssh://git@example.org/team/repo.git", "git+ssh://git@example.org/team/repo.git"),
        ("https://git@example.org/team/repo.git", "https://example.org/team/repo.git"),
        ("git@example.org:team/repo.git", "git@example.org:team/repo.git"),
        ("https://example.org/t/secret/channel/x.conda", "https://example.org/channel/x.conda"),
        ("https://example.org/x?a=1&token=s&b=%20", "https://example.org/x?a=1&b=%20"),
        ("https://example.org/x?token=s#sha256=0", "https://example.org/x#sha256=0"),
        ("https://example.org/x?token=s", "https://example.org/x"),
        ("https://dl.example.org/x7Qp9Zk2Wd4Rt8mB/team/simple/", "https://dl.example.org/team/simple/"),
        ("https://example.org/0f3a9c77b1d24e5f/x/y.whl", "https://example.org/x/y.whl"),
        ("https://example.org/packages/0f/3a/9c77b1d24e5f0f3a9c77/y.whl",) * 2,  # a digest
        ("https://example.org/wheels/cp311-cp311-linux_x86_64/y.whl",) * 2,
        ("https://example.org/MyCompanyDataScience2024/team/simple/",) * 2,
        ("https://example.org/6f1c9a52-7d3b-4e8f-9a10-1b2c3d4e5f60/_packaging/feed/pypi/simple/",) * 2,
        ("https://example.org/team/model/resolve/9c77b1d24e5f0f3a9c77/part/model.bin",) * 2,
        ("../wheels", "../wheels"),
        ("/srv/git/repo.git", "/srv/git/repo.git"),
        ("file:///srv/wheels/a.whl", "file:///srv/wheels/a.whl"),
        ("", ""),
    ],
)
def test_all_but_the_credentials_stays(address: str, stripped: str) -> None:
    assert strip_credentials(address) == stripped


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no address here",
        "https://example.org/simple/",
        "https://example.org/a@b/c?x=1&y=2#egg=z",
        "write to person@example.org about http://example.org/",
        "https://example.org/t/",
        "a://b",
        "100% of 5 files: 3/4",
    ],
)
def test_harmless_text_is_left_as_it_is(text: str) -> None:
    assert redact_text(text) == text


def test_several_addresses_in_one_text() -> None:
    text = "from https://a:b@example.org/x and https://c@example.org/t/tok/y?sig=1"
    assert redact_text(text) == "from https://***@example.org/x and https://***@example.org/t/***/y?sig=***"


plain = st.text("abcxyz0189-._~", min_size=1, max_size=8)
password = st.text("abcXYZ019-._~:@%!$&'()*+,;=", min_size=1, max_size=8)


@given(
    scheme=st.sampled_from(["http", "https", "git+https", "ssh", "git+ssh", "HTTPS"]),
    user=plain,
    secret=password,
    path=st.lists(st.sampled_from(["a", "t", "b.git", ""]), max_size=4),
    query=st.lists(st.tuples(st.sampled_from(["a", "token", "sig", "page"]), plain), max_size=3),
)
def test_any_password_is_taken_out_once_and_for_all(
    scheme: str, user: str, secret: str, path: list[str], query: list[tuple[str, str]]
) -> None:
    canary = f"{secret}{CANARY}"
    tail = "/" + "/".join(path) + ("?" + "&".join(f"{name}={value}" for name, value in query) if query else "")
    address = f"{scheme}://{user}:{canary}@example.org{tail}"
    for clean in (strip_credentials, redact_text):
        once = clean(address)
        assert CANARY not in once
        assert "example.org" in once
        assert clean(once) == once


@given(st.text())
def test_any_text_is_taken_without_complaint(text: str) -> None:
    assert redact_text(redact_text(text)) == redact_text(text)
    strip_credentials(text)


@given(st.text("htps:/@?#&=;t.*", max_size=40))
def test_text_that_looks_like_addresses_settles(text: str) -> None:
    assert redact_text(redact_text(text)) == redact_text(text)


def test_long_text_without_an_address_is_quick() -> None:
    assert redact_text("a" * 300_000) == "a" * 300_000


@pytest.mark.parametrize(
    "name",
    [
        "HF_TOKEN",
        "WANDB_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "DB_PASSWORD",
        "PGPASSFILE_PWD",
        "SENTRY_DSN",
        "AUTH_HEADER",
        "cookie",
    ],
)
def test_secret_names(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["OMP_NUM_THREADS", "TOKENIZERS_PARALLELISM", "PYTHONHASHSEED", "CUDA_VISIBLE_DEVICES", "page"]
)
def test_plain_names(name: str) -> None:
    assert not is_secret_name(name)


TOKENS = [
    f"hf_{CANARY}AbCdEfGhIjKlMnOp",
    f"ghp_{CANARY}0123456789abcdef",
    f"github_pat_{CANARY}0123456789_abcdef",
    f"glpat-{CANARY}0123456789",
    f"sk-ant-api03-{CANARY}0123456789",
    f"sk-{CANARY}0123456789abcdef0123456789",
    f"xoxb-{CANARY}-0123456789",
    f"eyJ{CANARY}AbCd.eyJ{CANARY}AbCd.{CANARY}",
    f"pypi-AgEIcHlwaS5vcmc{CANARY}",
]


@pytest.mark.parametrize("token", TOKENS)
def test_a_token_is_known_by_its_beginning(token: str) -> None:
    for text in (token, f"key={token}", f"'{token}',", f"Bearer {token}\n", f"https://example.org/{token}"):
        assert CANARY not in redact_text(text)
        assert redact_text(redact_text(text)) == redact_text(text)


@pytest.mark.parametrize(
    "text",
    ["sk-learn-contrib-something-or-other-0123", "hf_hub_download", "task-list", "npm_config", "0" * 64, "AKIA", "eyJ"],
)
def test_other_words_stay(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0123456789abcdef0123456789abcdef01234567", True),
        (":4096:8", False),
        ("--xla_gpu_deterministic_ops=true --xla_cpu_a=1", False),
        ("0" * 40, False),
        ("expandable_segments:True,max_split_size_mb:128", False),
        ("PCI_BUS_ID", False),
    ],
)
def test_what_may_be_a_key(value: str, *, expected: bool) -> None:
    assert may_be_key(value) is expected


@pytest.mark.parametrize("address", HIDING_PLACES)
def test_what_was_stripped_holds_nothing_more(address: str) -> None:
    assert holds_credentials(address)
    assert not holds_credentials(strip_credentials(address))


@given(
    st.lists(
        st.sampled_from([*HIDING_PLACES, "https://example.org/x", "a@b", "git@example.org:x", " ", "\n", "'", '"'])
    )
)
def test_of_many_addresses_no_canary_survives(pieces: list[str]) -> None:
    """However they are strung together in a log, with a blank or a line between them."""
    for between in (" ", "\n", '", "', "\t(", "> <"):
        assert CANARY not in redact_text(between.join(pieces))


@given(st.text())
def test_what_holds_credentials_is_what_is_redacted(text: str) -> None:
    assert holds_credentials(text) == (redact_text(text) != text)
    assert not holds_credentials(redact_text(text))


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("https://example.org/x7Qp9Zk2Wd4Rt8mB/team/", "https://example.org/team/"),
        ("https://example.org/team/x7Qp9Zk2Wd4Rt8mB", "https://example.org/team"),
        ("https://user:secret@example.org/0f3a9c77b1d24e5f0f3a9c77/", "https://example.org/"),
        ("https://example.org/simple/", "https://example.org/simple/"),
        ("https://example.org", "https://example.org"),
        ("file:///srv/x7Qp9Zk2Wd4Rt8mB/wheels", "file:///srv/wheels"),
        ("/srv/x7Qp9Zk2Wd4Rt8mB/wheels", "/srv/x7Qp9Zk2Wd4Rt8mB/wheels"),
    ],
)
def test_an_index_is_shown_without_what_looks_like_a_token(address: str, public: str) -> None:
    assert strip_index(address) == public
    assert strip_index(public) == public


EXPOSED = [
    "https://user:hunter2@example.org/simple/",
    "git+https://ghp_x7Qp9Zk2Wd4Rt8mB@example.org/team/x.git",
    "https://x7Qp9Zk2Wd4Rt8mB:@example.org/",
    "https://x7Qp9Zk2Wd4Rt8mB:x-oauth-basic@example.org/",
    "postgresql://app:it's#1@db.example.org/x",
    "https://dl.example.org/x7Qp9Zk2Wd4Rt8mB/team/python/simple/",
    "https://conda.example.org/t/x7-0f3a9c77b1d24e5f/channel",
]
HARMLESS = [
    "https://user:password@example.org/",
    "https://USERNAME:API_TOKEN@example.org/",
    "https://user:your-token-here@example.org/",
    "https://user:${TOKEN}@example.org/",
    "https://$USER:$TOKEN@example.org/",
    "https://{user}:{password}@example.org/",
    "https://%s:%s@example.org/",
    "https://user:***@example.org/",
    "https://<user>:<token>@example.org/",
    "https://postgres:postgres@example.org/",
    "ssh://git@example.org/team/x.git",
    "https://someone@example.org/team/x.git",
    "https://forum.example.org/t/how-to-split-a-tensor/1234",
    "https://example.org/team/model/resolve/9c77b1d24e5f0f3a9c77/part/model.bin",
    "mail someone@example.org or see https://example.org/a@b",
    'open("https://example.org:80\\nfoo@bar")',
]


@pytest.mark.parametrize("address", [one for one in EXPOSED if "#" not in one])
def test_an_address_with_a_real_looking_secret_is_found(address: str) -> None:
    for text in (address, f'url = "{address}"', f'{{"a": ["x\\n{address}\\n"]}}', f"- {address}, {address}"):
        assert exposed_line(f"first\n\n{text}\n".encode()) == 3
        assert exposed_line(strip_exposed(f"{text}\n".encode())) is None


@pytest.mark.parametrize("address", HARMLESS)
def test_placeholders_and_plain_addresses_are_left_alone(address: str) -> None:
    for text in (address, f'url = "{address}"', f"url='{address}'", f"({address})"):
        assert exposed_line(text.encode()) is None
        assert strip_exposed(text.encode()) == text.encode()


@given(st.binary())
def test_any_bytes_are_searched_without_complaint(content: bytes) -> None:
    exposed_line(content + b"://" + content)
    strip_exposed(content + b"://" + content)
