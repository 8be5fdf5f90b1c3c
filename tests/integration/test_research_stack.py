"""An environment that nobody tailored: a research stack from several indexes, with a package built from source."""

import base64
import hashlib
import http.server
import io
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.engine, pytest.mark.network]

# hydra-core needs antlr4-python3-runtime 4.9.3, of which its index has no wheel: pip builds it.
STACK = (
    *("pandas", "statsmodels", "hydra-core", "networkx", "xarray"),
    *("tqdm", "rich", "requests", "sqlalchemy", "pydantic", "jsonschema", "ipykernel", "nbformat"),
    *("labtools==1.2", "labmodels==0.3"),
)

EVALUATION = """\
import json
import antlr4, hydra, labmodels, labtools, networkx, pandas, statsmodels.api as sm
frame = pandas.DataFrame({"x": range(40), "y": [labtools.wobble(n) for n in range(40)]})
fit = sm.OLS(frame["y"], sm.add_constant(frame["x"])).fit()
metrics = {
    "slope": float(fit.params["x"]), "r_squared": float(fit.rsquared), "model": labmodels.NAME,
    "components": networkx.number_connected_components(networkx.path_graph(5)), "hydra": hydra.__version__,
}
print(json.dumps(metrics))
"""


def _digest(text: str) -> str:
    """Give a digest as RECORD has it: URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def make_wheel(folder: Path, name: str, version: str, text: str) -> Path:
    """Make a small real wheel, the same bytes each time."""
    info = f"{name}-{version}.dist-info"
    members = {
        f"{name}.py": text,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: lab\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{member},sha256={_digest(content)},{len(content)}\n" for member, content in members.items()]
    record = "".join([*rows, f"{info}/RECORD,,\n"])
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for member, content in {**members, f"{info}/RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(member, (2020, 1, 1, 0, 0, 0)), content)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(stream.getvalue())
    return path


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Serve an extra index of plain HTML pages (PEP 503) and lay out a find-links folder, as a laboratory would."""
    links = tmp_path / "links"
    make_wheel(links, "labtools", "1.2", "def wobble(n):\n    return 0.5 * n + (n * 7919 % 13) / 10\n")
    index = tmp_path / "index"
    wheel = make_wheel(index / "files", "labmodels", "0.3", "NAME = 'wobble-net'\n")
    page = index / "simple" / "labmodels" / "index.html"
    page.parent.mkdir(parents=True)
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    page.write_text(f'<!DOCTYPE html><a href="../../files/{wheel.name}#sha256={sha256}">{wheel.name}</a>')

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(index)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield {
        "PIP_FIND_LINKS": str(links),
        "PIP_EXTRA_INDEX_URL": f"http://127.0.0.1:{server.server_address[1]}/simple",
    }
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_stack_that_nobody_tailored(
    small: Any, lab: dict[str, str], make_environment: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in lab.items():
        monkeypatch.setenv(name, value)
        small.environ[name] = value
    small.environ["VIRTUAL_ENV"] = str(make_environment(*STACK))
    (small.project / "evaluate.py").write_text(EVALUATION)
    (small.project / "envcap.toml").write_text(
        '[evaluation]\ncommand = ["python", "evaluate.py"]\nmetrics = "stdout-json"\nrepeat = 2\n'
    )
    lock = small.ok("freeze", "--json").document["frozen"]
    packages = {package["name"]: package for package in lock["packages"]}
    assert len(packages) >= 60
    assert packages["labtools"]["origin"] == "local"
    assert packages["labmodels"]["index"] == lab["PIP_EXTRA_INDEX_URL"]
    assert packages["antlr4-python3-runtime"]["origin"] == "repacked"
    assert {gap["subject"] for gap in lock["gaps"]} == {"antlr4-python3-runtime==4.9.3"}
    unproven = {name for name, package in packages.items() if package["confidence"] != "proven"}
    assert unproven == {"antlr4-python3-runtime"}
    assert all(package["wheel"]["sha256"] for package in packages.values())

    small.ok("build", "--engine", "docker")
    verified = small.ok("verify", "--engine", "docker", "--json").document
    assert verified["verdict"] == "IDENTICAL"
    assert verified["findings"] == []
