"""What show prints: golden files, and a document that holds the same."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import msgspec

from envcap.model.gap import Gap
from envcap.model.lock import Lock, Package, Toolkit, Wheel
from envcap.report.document import show_document
from envcap.report.text import describe_show

replace = msgspec.structs.replace
Golden = Callable[[str, str], None]
PATH = Path("pylock.train.toml")
SHA256 = "9" * 64


def grown(lock: Lock) -> Lock:
    """Give a lock with a circle, a package that two require, and one that nobody does."""
    alpha, beta = lock.packages
    return replace(
        lock,
        packages=[
            replace(alpha, dependencies=("beta-tools", "gamma")),
            replace(beta, dependencies=("delta", "gamma")),
            replace(alpha, name="delta", requested=False, dependencies=("beta-tools",)),
            replace(alpha, name="gamma", requested=False, dependencies=("omega",)),
            replace(alpha, name="lonely", requested=False, dependencies=()),
            replace(alpha, name="omega", requested=False, dependencies=()),
        ],
    )


def test_the_table(sample_lock: Lock, check_golden: Golden) -> None:
    check_golden("show.txt", describe_show(grown(sample_lock), PATH, SHA256, as_tree=False))


def test_the_tree(sample_lock: Lock, check_golden: Golden) -> None:
    check_golden("show-tree.txt", describe_show(grown(sample_lock), PATH, SHA256, as_tree=True))


def test_the_document(sample_lock: Lock) -> None:
    document = json.loads(show_document(grown(sample_lock), PATH, SHA256))
    assert document["lock"] == {"path": "pylock.train.toml", "sha256": SHA256}
    assert document["roots"] == ["alpha", "lonely"]
    assert document["frozen"]["packages"][0]["dependencies"] == ["beta-tools", "gamma"]


def test_where_cuda_comes_from_is_said(sample_lock: Lock, toolkit: Toolkit) -> None:
    text = describe_show(replace(sample_lock, toolkit=toolkit), PATH, SHA256, as_tree=False)
    assert (
        "  cuda         12.8 of the system is used: libcudart.so.12, libcudnn.so.9, which the image takes from "
        "nvidia/cuda:12.8.1-cudnn-runtime-ubuntu22.04@sha256:555555555555…\n" in text
    )
    wheel = Wheel(name="torch-2.7.0+cu128-cp311-cp311-linux_x86_64.whl", sha256="0" * 64)
    torch = Package(name="torch", version="2.7.0+cu128", wheel=wheel)
    text = describe_show(replace(sample_lock, packages=[torch]), PATH, SHA256, as_tree=False)
    assert "  cuda         12.8, which the packages bring along (torch 2.7.0+cu128)\n" in text
    document = json.loads(show_document(replace(sample_lock, toolkit=toolkit), PATH, SHA256))
    assert document["frozen"]["toolkit"]["release"] == "12.8"


def test_many_unmet_requirements_are_counted(sample_lock: Lock) -> None:
    (first, *_) = sample_lock.conflicts
    lock = replace(sample_lock, conflicts=[replace(first, requirement=f"x\x1b{n}") for n in range(40)])
    text = describe_show(lock, PATH, SHA256, as_tree=False)
    assert "and 28 more in the lock" in text
    assert "\x1b" not in text


def test_what_could_not_be_pinned_is_in_the_table_and_edited_packages_are_in_view(sample_lock: Lock) -> None:
    lost = [
        Gap(
            where="packages", subject="Own.Thing==1.0", reason="r", consequence="the image will not have it; reinstall"
        ),
        Gap(where="packages", subject="alpha==1.0", reason="r", consequence="the image will not have it"),
        Gap(where="packages", subject="tree==1.0: link", reason="r", consequence="the image will not have it"),
        Gap(where="packages", subject="kept==1.0", reason="r", consequence="the image gets that file"),
        *(Gap(where="code", subject=f"{number}", reason="r", consequence="c") for number in range(20)),
    ]
    text = describe_show(replace(sample_lock, gaps=lost), PATH, SHA256, as_tree=False)
    assert re.search(r"\n  own-thing +1\.0 +unresolved +the image will not have it: see the gaps\n", text)
    assert text.count("unresolved") == 2
    assert (
        "  packages     2 pinned by sha256, 1 proven by RECORD, 1 carried, 1 in .envcap/store, 1 unresolved\n" in text
    )
    assert "Changed by hand: 1 package" in text
