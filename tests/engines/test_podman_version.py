"""Which podman is new enough for what envcap asks of its builder."""

import pytest

from envcap.engines.podman import require_version
from envcap.errors import NotRunError


@pytest.mark.parametrize("version", ["4.1.0", "4.3.1", "5.0.0-rc1", "10.0", "unknown"])
def test_new_enough(version: str) -> None:
    require_version(version)


@pytest.mark.parametrize("version", ["3.4.4", "4.0.3", "1.6"])
def test_too_old_is_told_with_the_version_that_is_needed(version: str) -> None:
    with pytest.raises(NotRunError, match=rf"podman {version}, .* that takes 4\.1") as failed:
        require_version(version)
    assert "--engine docker" in failed.value.hint
