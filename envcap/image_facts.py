"""What the probe sees in an image, asked through the engine."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from envcap.engines.engine import Engine
from envcap.model.facts import Facts
from envcap.model.image import Image
from envcap.model.progress import say_nothing
from envcap.probe.inside import probe_task, read_outcome


def facts_of_image(engine: Engine, image: Image, *, gpus: list[str] | None = None, loaded: Sequence[str] = ()) -> Facts:
    """Run the same probe that described the live environment at freeze. Raises NotRunError when it fails there.

    `loaded` are libraries of GPUs to look at beyond those that it finds.
    """
    with tempfile.TemporaryDirectory(prefix="envcap-probe-") as name:
        task = probe_task(gpus=gpus, loaded=loaded)
        return read_outcome(engine.run(image, task, results=Path(name), tell=say_nothing))
