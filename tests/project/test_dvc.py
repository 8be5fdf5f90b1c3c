"""Data that DVC keeps: what is fetched has its md5 noted, what is not is named with the command that fetches it."""

from pathlib import Path

import pytest

from envcap.errors import WrongUsageError
from envcap.project.inputs import MeasuredData, changed_data, measure_data
from envcap.store import Store

MD5, FOLDER_MD5 = "a304afb96060aad90176268345e10355", "22e3f61e52c0ba45334d973244efc155.dir"


def put(root: Path, path: str, text: str = "1\n") -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def pointer(path: str, md5: str = MD5, *, more: str = "") -> str:
    """Give a `.dvc` file as DVC 3 writes it."""
    return f"outs:\n- md5: {md5}\n  size: 14445097\n  hash: md5\n  path: {path}\n{more}"


def measured(project: Path, *paths: str) -> MeasuredData:
    return measure_data(project, list(paths), Store(project / ".store"))


def pipeline(project: Path, *, wdir: str = "") -> None:
    put(project, "dvc.yaml", f"stages:\n  prepare:\n    cmd: python prepare.py\n{wdir}    outs:\n    - data/features\n")
    put(
        project,
        "dvc.lock",
        "schema: '2.0'\nstages:\n  prepare:\n    cmd: python prepare.py\n    deps:\n    - path: data/raw.csv\n"
        f"      md5: {MD5}\n    outs:\n    - path: data/features\n      hash: md5\n      md5: {FOLDER_MD5}\n",
    )


def test_what_was_fetched_has_its_md5(tmp_path: Path) -> None:
    put(tmp_path, "data/raw.csv")
    put(tmp_path, "data/raw.csv.dvc", pointer("raw.csv"))
    put(tmp_path, "data/images/a.png")
    put(tmp_path, "data/images.dvc", pointer("images", FOLDER_MD5))
    put(tmp_path, "data/features/x.npy")
    put(tmp_path, "plain.csv")
    pipeline(tmp_path)
    found = measured(
        tmp_path, "data/raw.csv", "data/images/", "data/features", "data", "plain.csv", "data/images/a.png"
    )
    assert [one.dvc for one in found.inputs] == [MD5, FOLDER_MD5, FOLDER_MD5, None, None, None]
    assert found.gaps == []


def test_below_a_folder_what_was_not_fetched_is_a_gap(tmp_path: Path) -> None:
    put(tmp_path, "data/own.csv")
    put(tmp_path, "data/deep/odd name.dvc", pointer("odd name"))
    pipeline(tmp_path)
    gaps = {gap.subject: gap.consequence for gap in measured(tmp_path, "data").gaps}
    said = "it is not part of the recorded data; `dvc pull {}` fetches the content"
    assert gaps == {
        "data/deep/odd name": said.format("'data/deep/odd name'"),
        "data/features": said.format("data/features"),
    }


def test_a_pointer_declared_as_data_is_told(tmp_path: Path) -> None:
    put(tmp_path, "raw.csv.dvc", pointer("raw.csv"))
    (gap,) = measured(tmp_path, "raw.csv.dvc").gaps
    assert (gap.subject, gap.reason) == ("raw.csv", "it is a pointer of DVC whose content was not fetched")
    put(tmp_path, "raw.csv")
    (gap,) = measured(tmp_path, "raw.csv.dvc").gaps
    assert (gap.subject, gap.consequence) == ("raw.csv.dvc", "only the pointer is recorded; declare `raw.csv`")


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("data/raw.csv", "`dvc pull data/raw.csv`"),
        ("data/images/a.png", "`dvc pull data/images`"),
        ("data/features", "`dvc pull data/features`"),
    ],
)
def test_data_that_only_dvc_knows_is_named_with_the_command(path: str, command: str, tmp_path: Path) -> None:
    put(tmp_path, "data/raw.csv.dvc", pointer("raw.csv"))
    put(tmp_path, "data/images.dvc", pointer("images", FOLDER_MD5))
    pipeline(tmp_path)
    with pytest.raises(WrongUsageError) as wrong:
        measured(tmp_path, path)
    assert wrong.value.hint == f"DVC knows it, and {command} fetches it."
    put(tmp_path, path)
    frozen = measured(tmp_path, path).inputs
    (tmp_path / path).unlink()
    changes = changed_data(tmp_path, frozen, Store(tmp_path / ".store"))
    assert changes == [f"`{path}` is not there; {command} fetches it"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "outs: 3\n",
        "outs:\n- 3\n- path: 4\n- path: raw.csv\n  md5: none\n",
        "!!python/object/apply:os.system ['true']\n",
        f"wdir: elsewhere\n{pointer('raw.csv')}",
        "outs:\n- md5: 2024-99-99\n  path: raw.csv\n",
        "[" * 100_000,
    ],
    ids=["empty", "broken", "a number", "odd entries", "a program", "another folder", "no date", "deep"],
)
def test_a_file_that_says_nothing_is_no_matter(text: str, tmp_path: Path) -> None:
    put(tmp_path, "raw.csv")
    put(tmp_path, "raw.csv.dvc", text)
    found = measured(tmp_path, "raw.csv")
    assert found.inputs[0].dvc is None
    assert found.gaps == []


def test_a_pipeline_in_another_folder_is_not_guessed_at(tmp_path: Path) -> None:
    put(tmp_path, "data/features")
    pipeline(tmp_path, wdir="    wdir: sub\n")
    assert measured(tmp_path, "data/features").inputs[0].dvc is None
