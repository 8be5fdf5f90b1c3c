"""What an engine says while it pushes, as both kinds of image store say it."""

from typing import Any

import pytest

from envcap.engines.pushing import Sending, follow_push
from envcap.errors import NotRunError
from envcap.model.progress import Progress, say_nothing

DIGEST = f"sha256:{'68d4' * 16}"
NAME = "registry.example.org/group/one:1"


def test_the_digest_is_found_with_either_store() -> None:
    containerd: list[Any] = [{"status": f"1: digest: {DIGEST} size: 855"}]
    classic: list[Any] = [
        {"status": "1: digest: ..."},
        {"progressDetail": {}, "aux": {"Tag": "1", "Digest": DIGEST, "Size": 855}},
    ]
    for messages in (containerd, classic):
        assert follow_push(messages, NAME, tell=say_nothing) == DIGEST


def test_layers_are_counted_as_they_arrive() -> None:
    told: list[Progress] = []
    messages: list[Any] = [
        {"status": "The push refers to repository [registry.example.org/group/one]"},
        {"status": "Preparing", "progressDetail": {}, "id": "aa"},
        {"status": "Layer already exists", "progressDetail": {}, "id": "bb"},
        {"status": "Pushing", "progressDetail": {"current": 512, "total": 1024}, "id": "aa"},
        {"status": "Pushed", "progressDetail": {}, "id": "aa"},
        {"status": f"1: digest: {DIGEST} size: 855"},
    ]
    follow_push(messages, NAME, tell=told.append)
    assert [(one.done, one.total) for one in told] == [(0, 1), (1, 2), (2, 2)]


@pytest.mark.parametrize(
    "said",
    [
        "unauthorized: authentication required",
        "no basic auth credentials",
        "denied: requested access to the resource is denied",
        "failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized",
    ],
)
def test_who_must_log_in_is_told_how(said: str) -> None:
    with pytest.raises(NotRunError, match="wants a login") as raised:
        follow_push([{"errorDetail": {"message": said}, "error": said}], NAME, tell=say_nothing)
    assert "`docker login registry.example.org`" in raised.value.hint
    with pytest.raises(NotRunError) as raised:
        follow_push([{"error": said}], "account/one:1", tell=say_nothing)
    assert "`docker login`" in raised.value.hint


def test_another_failure_is_told_as_it_is() -> None:
    with pytest.raises(NotRunError, match="connection refused"):
        follow_push([{"error": "dial tcp: connection refused"}], NAME, tell=say_nothing)
    with pytest.raises(NotRunError, match="without the digest"):
        follow_push([], NAME, tell=say_nothing)


def test_what_the_builder_says_of_packing_and_sending() -> None:
    seen = Sending()
    lines = [
        "#4 [1/1] FROM registry.example.org/group/one:1@sha256:aa",
        "#5 exporting layers",
        "#5 exporting layers 14.0s done",
        "#5 exporting manifest sha256:aa done",
        "#5 pushing layers",
        "#5 pushing layers 0.6s done",
    ]
    told = [item.text for line in lines for item in seen.take(line)]
    assert told == ["packing its layers with gzip", "sending its layers"]
    assert not seen.has_sent_manifest
    assert list(seen.take(f"#5 pushing manifest for {NAME}@{DIGEST} 0.0s done")) == []
    assert seen.has_sent_manifest


@pytest.mark.parametrize("where", ["failed to solve: failed to push registry.example.org/group/one:1: ", ""])
def test_the_builders_reason_is_given_without_what_it_was_doing(where: str) -> None:
    seen = Sending()
    assert list(seen.take(f"ERROR: {where}401 Unauthorized")) == []
    assert seen.reason == "401 Unauthorized"
