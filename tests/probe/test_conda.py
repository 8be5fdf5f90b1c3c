"""conda-meta as conda, mamba, micromamba and pixi leave it, read without any of them."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envcap.model.facts import Conda, CondaRecord
from envcap.probe.target.conda import (
    describe_conda,
    metadata_of,
    name_of,
    parse_history,
    parse_record,
    parse_state,
    tool_of,
)
from envcap.probe.target.gaps import Gaps

# As conda 24 writes a record; what is long and of no use here is left out.
RECORD: dict[str, Any] = {
    "build": "py311h64a7726_0",
    "build_number": 0,
    "channel": "https://conda.example.org/main/linux-64",
    "constrains": ["numpy-base <0a0"],
    "depends": ["libblas >=3.9.0,<4.0a0", "python >=3.11,<3.12.0a0"],
    "extracted_package_dir": "/home/user/miniforge3/pkgs/numpy-1.26.4-py311h64a7726_0",
    "files": [
        "bin/f2py",
        "lib/python3.11/site-packages/numpy-1.26.4.dist-info/METADATA",
        "lib/python3.11/site-packages/numpy-1.26.4.dist-info/RECORD",
        "lib/python3.11/site-packages/numpy/__init__.py",
    ],
    "fn": "numpy-1.26.4-py311h64a7726_0.conda",
    "license": "BSD-3-Clause",
    "link": {"source": "/home/user/miniforge3/pkgs/numpy-1.26.4-py311h64a7726_0", "type": 1},
    "md5": "a502d7aad449a1206efb366d6a12c52d",
    "name": "numpy",
    "package_tarball_full_path": "/home/user/miniforge3/pkgs/numpy-1.26.4-py311h64a7726_0.conda",
    "paths_data": {"paths": [], "paths_version": 1},
    "platform": "linux",
    "requested_spec": "numpy=1.26",
    "sha256": "3f4365e11b28e244c95ba8579942b0802761ba7bb31c026f50d1a9ea9c728149",
    "size": 8065890,
    "subdir": "linux-64",
    "timestamp": 1707225421156,
    "url": "https://conda.example.org/main/linux-64/numpy-1.26.4-py311h64a7726_0.conda",
    "version": "1.26.4",
}

STATE = '{"version": 1, "env_vars": {"DATA_ROOT": "/data", "API_TOKEN": "canary"}}'
CONDA = """==> 2024-03-01 10:00:00 <==
# cmd: /home/user/miniforge3/bin/conda create -n train python=3.11 numpy=1.26
# conda version: 24.1.2
+conda-forge/linux-64::numpy-1.26.4-py311h64a7726_0
# update specs: ['numpy=1.26', 'python=3.11']
==> 2024-03-02 10:00:00 <==
# cmd: /home/user/miniforge3/bin/conda install scipy
# conda version: 24.1.2
# update specs: ["scipy"]
==> 2024-03-03 10:00:00 <==
# cmd: /home/user/miniforge3/bin/conda remove scipy
# conda version: 24.1.2
# remove specs: ['scipy']
"""
# Mamba 1 let conda write it; from version 2 on it is libmamba that does, as in micromamba (`History::add_entry`): every
# channel by its address, each text in double quotes with those inside escaped, and a version of conda that never was.
MAMBA = """==> 2024-03-01 10:00:00 <==
# cmd: /home/user/miniforge3/bin/mamba env create -f environment.yml
# conda version: 23.11.0
+conda-forge/linux-64::numpy-1.26.4-py311h64a7726_0
# update specs: ["python[version='3.11.*']", 'conda-forge::numpy[version=">=1.26,<2"]']
"""
LIBMAMBA = """==> 2026-03-01 10:00:00 <==
# cmd: {program} create -n train python=3.11 numpy>=1.26,<2 scipy
# conda version: 3.8.0
+https://conda.example.org/main/linux-64::numpy-1.26.4-py311h64a7726_0
+https://conda.example.org/main/linux-64::scipy-1.12.0-py311h64a7726_0
# update specs: ["python=3.11", "numpy[version=\\">=1.26,<2\\"]", "scipy"]
==> 2026-03-02 10:00:00 <==
# cmd: {program} remove scipy
# conda version: 3.8.0
-https://conda.example.org/main/linux-64::scipy-1.12.0-py311h64a7726_0
# remove specs: ["scipy"]
"""
PIXI = {
    "manifest_path": "/home/a/x/pixi.toml",
    "environment_name": "default",
    "pixi_version": "0.63.2",
    "environment_lock_file_hash": "4f36ee620f10329d",
}
# What one tool leaves: the history, what was asked for as the record tells it, further files beside the records.
STATES: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    "conda": (CONDA, {"requested_spec": "None"}, {"state": STATE}),
    "mamba 1": (MAMBA, {"requested_spec": "None"}, {}),
    "mamba 2": (LIBMAMBA.format(program="/home/user/miniforge3/bin/mamba"), {"requested_spec": ""}, {}),
    "micromamba": (LIBMAMBA.format(program="micromamba"), {"requested_spec": ""}, {}),
    "pixi": (
        "// not relevant for pixi but for `conda run -p`",
        {"requested_spec": None, "requested_specs": ["numpy >=1.26,<2"]},
        {
            "pixi": json.dumps(PIXI),
            "pixi_env_prefix": "/home/a/x/.pixi/envs/default",
            ".pixi-environment-fingerprint": "9",
        },
    ),
}
REQUESTED = {
    "conda": ["numpy=1.26"],
    "mamba 1": ['conda-forge::numpy[version=">=1.26,<2"]'],
    "mamba 2": ['numpy[version=">=1.26,<2"]'],
    "micromamba": ['numpy[version=">=1.26,<2"]'],
    "pixi": ["numpy >=1.26,<2"],
}


def make_prefix(prefix: Path, history: str | None, record: dict[str, Any], **files: str) -> Path:
    folder = prefix / "conda-meta"
    folder.mkdir(parents=True)
    if history is not None:
        (folder / "history").write_text(history)
    (folder / "numpy-1.26.4-py311h64a7726_0.json").write_text(json.dumps(record))
    for name, text in files.items():
        (folder / name).write_text(text)
    return prefix


def described(prefix: Path, gaps: Gaps | None = None) -> tuple[Conda, dict[str, str]]:
    document, owners = describe_conda(str(prefix), gaps or Gaps())
    return msgspec.convert(document, Conda), owners


@pytest.mark.parametrize("tool", STATES)
def test_what_each_tool_leaves(tool: str, tmp_path: Path) -> None:
    history, asked, files = STATES[tool]
    conda, owners = described(make_prefix(tmp_path, history, {**RECORD, **asked}, **files))
    assert conda.tool == tool.partition(" ")[0]
    (found,) = conda.records
    assert found.requested == REQUESTED[tool]
    assert conda.variables == (["API_TOKEN", "DATA_ROOT"] if tool == "conda" else [])
    assert owners == {"lib/python3.11/site-packages/numpy-1.26.4.dist-info": "numpy"}
    assert "canary" not in repr(conda)


def test_everything_that_a_record_tells(tmp_path: Path) -> None:
    conda, _ = described(make_prefix(tmp_path, CONDA, RECORD))
    (found,) = conda.records
    kept = RECORD["extracted_package_dir"]
    assert found == CondaRecord(
        record=str(tmp_path / "conda-meta" / "numpy-1.26.4-py311h64a7726_0.json"),
        **{key: RECORD[key] for key in ("name", "version", "build", "subdir", "channel", "url", "md5", "sha256")},
        **{key: RECORD[key] for key in ("size", "depends", "constrains")},
        file=RECORD["fn"],
        requested=["numpy=1.26"],
        kept=[f"{kept}.conda", kept, kept],
    )


def test_pixi_keeps_its_specs_in_the_record(tmp_path: Path) -> None:
    record = {**RECORD, "requested_specs": ["numpy >=1.26,<2"]}
    record.pop("requested_spec")
    conda, _ = described(make_prefix(tmp_path, None, record))
    assert conda.records[0].requested == ["numpy >=1.26,<2"]
    assert conda.tool == "unknown"


def test_a_package_called_pixi_is_not_pixis_trace(tmp_path: Path) -> None:
    prefix = make_prefix(tmp_path, CONDA, RECORD, **{"pixi-0.63.0-0.json": json.dumps({**RECORD, "name": "pixi"})})
    assert described(prefix)[0].tool == "conda"


def test_a_folder_that_is_no_prefix(tmp_path: Path) -> None:
    assert describe_conda(str(tmp_path), Gaps()) == (None, {})


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"name": "x"}', '{"name": 1, "version": 2, "build": 3}', "\udcff"]
)
def test_a_damaged_record_is_a_gap(text: str, tmp_path: Path) -> None:
    prefix = make_prefix(tmp_path, CONDA, RECORD)
    (prefix / "conda-meta" / "broken-1-0.json").write_bytes(text.encode(errors="surrogateescape"))
    gaps = Gaps()
    conda, _ = described(prefix, gaps)
    assert [record.name for record in conda.records] == ["numpy"]
    assert [gap["subject"] for gap in gaps.found] == ["broken-1-0"]


def test_scripts_are_noticed() -> None:
    files = ["bin/.x-post-link.sh", "bin/.x-pre-unlink.sh", "etc/conda/activate.d/x.sh", "etc/conda/deactivate.d/x.sh"]
    record, _ = parse_record(json.dumps({**RECORD, "files": files}).encode())
    assert record["scripts"] == ["bin/.x-post-link.sh", "etc/conda/activate.d/x.sh"]


@pytest.mark.parametrize(
    ("value", "noarch"), [("python", "python"), ("generic", "generic"), (True, "generic"), (False, None), (None, None)]
)
def test_noarch_of_all_times(value: object, noarch: str | None) -> None:
    assert parse_record(json.dumps({**RECORD, "noarch": value}).encode())[0]["noarch"] == noarch


def test_metadata_folders_and_files() -> None:
    site = "lib/python3.11/site-packages"
    files = [f"{site}/a-1.dist-info/METADATA", f"{site}/b-1.egg-info/PKG-INFO", f"{site}/c-1.egg-info", f"{site}/d.py"]
    assert metadata_of(files) == [f"{site}/a-1.dist-info", f"{site}/b-1.egg-info", f"{site}/c-1.egg-info"]


@pytest.mark.parametrize(
    "spec",
    ["numpy", "numpy=1.26", "numpy >=1.26", "conda-forge::numpy[version='1']", "NumPy==1", "numpy~=1", "numpy!=2"],
)
def test_the_name_in_a_spec(spec: str) -> None:
    assert name_of(spec) == "numpy"


def test_what_was_removed_again_was_not_asked_for() -> None:
    assert sorted(parse_history(LIBMAMBA)) == ["numpy", "python"]
    assert parse_history(r"# update specs: ['a[b=\'c\']', " + r'"d[e=\"\\\"]"]') == {
        "a": ["a[b='c']"],
        "d": ['d[e="\\"]'],
    }


def test_a_history_of_old_conda() -> None:
    assert parse_history("# update specs: numpy, python=3.6\n") == {"numpy": ["numpy"], "python": ["python=3.6"]}
    assert tool_of("==> 2017 <==\n# cmd: /opt/conda/bin/conda create\n") == "conda"
    assert tool_of("# cmd: /usr/bin/mamba-linux-64 create\n") == "mamba"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(changes=st.dictionaries(st.sampled_from(sorted([*RECORD, "noarch", "requested_specs"])), values))
def test_any_record_is_read_or_refused(changes: dict[str, Any]) -> None:
    content = json.dumps({**RECORD, **changes}).encode()
    try:
        record, files = parse_record(content)
    except ValueError:
        return
    msgspec.convert({**record, "record": "x"}, CondaRecord)
    assert all(isinstance(path, str) for path in files)


@given(content=st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        parse_record(content)
    except ValueError:
        return


@given(text=st.text(max_size=80) | st.lists(st.sampled_from(CONDA.split(" ")), max_size=20).map(" ".join))
def test_any_history_and_state_is_read(text: str) -> None:
    for name, specs in parse_history(text).items():
        assert name == name.lower()
        assert len(specs) == 1
    assert tool_of(text) in {"conda", "mamba", "micromamba", "unknown"}
    assert parse_state(text) == sorted(parse_state(text))
