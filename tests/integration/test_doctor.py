"""doctor on this machine and on poorer ones, as a user starts it."""

from typing import Any

import pytest

NOWHERE = {"DOCKER_HOST": "unix:///nowhere/docker.sock", "CONTAINER_HOST": "unix:///nowhere/podman.sock"}


def points(document: Any) -> dict[str, Any]:
    return {point["subject"]: point for point in document["points"]}


@pytest.mark.engine
@pytest.mark.network
def test_a_machine_that_can_do_everything(small: Any) -> None:
    document = small.ok("doctor", "--json").document
    states = {subject: point["state"] for subject, point in points(document).items()}
    assert {subject for subject, state in states.items() if state == "good"} >= {
        "environment",
        "git",
        "index",
        "engine",
        "base image",
        "disk",
    }
    assert "failed" not in states.values()
    assert small.ok("doctor").out.startswith("This machine can freeze, build and verify")


def test_a_machine_without_an_engine_can_do_without(small: Any) -> None:
    result = small("doctor", "--json", env={**NOWHERE, "PIP_NO_INDEX": "1"})
    found = points(result.document)
    assert result.code == 0, result.err
    assert found["engine"]["state"] == "missing"
    assert "--engine venv" in found["engine"]["hint"]
    assert "BuildKit" not in found


def test_an_index_that_does_not_answer_fails_without_its_password(small: Any) -> None:
    address = "http://someone:canary@127.0.0.1:9/simple"
    result = small("doctor", env={**NOWHERE, "PIP_INDEX_URL": address, "PIP_TRUSTED_HOST": "127.0.0.1:9"})
    assert result.code == 3
    assert "points fail" in result.out
    assert "127.0.0.1:9" in result.out
    assert "canary" not in result.out + result.err


def test_an_environment_that_is_none_is_a_point_like_another(small: Any) -> None:
    result = small("doctor", "--python", "/nowhere/python", "--json", env={**NOWHERE, "PIP_NO_INDEX": "1"})
    assert result.code == 3
    found = points(result.document)
    assert found["environment"]["state"] == "failed"
    assert "/nowhere/python" in found["environment"]["found"]
    assert "base image" not in found
