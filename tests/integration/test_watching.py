"""What an evaluation does out of Python's sight, and what it fetches on the quiet, as freeze tells it."""

import socket
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

PROGRAM = """\
import json, pathlib, subprocess, sys, urllib.request
fetched = urllib.request.urlopen(sys.argv[2]).read()
outside = pathlib.Path(sys.argv[1]).read_text()
quiet = subprocess.run(["cat", "quiet.csv"], check=True, capture_output=True, text=True).stdout
pathlib.Path("log.txt").write_text("done")
pathlib.Path("metrics.json").write_text(json.dumps({"sum": float(outside) + float(quiet), "bytes": len(fetched)}))
"""
BASE = f"python:3.11@sha256:{'0' * 64}"


class Quiet(SimpleHTTPRequestHandler):
    """Serve a few bytes and say nothing."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"weights")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    """Give the address of a server on this machine by which others would reach it: loopback is no download."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # nothing is sent: it only tells which interface would be used
        own = probe.getsockname()[0]
    server = ThreadingHTTPServer((own, 0), Quiet)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"{own}:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.engine
def test_what_no_hook_sees_is_told_and_a_deep_look_sees_it(small: Any, tmp_path: Path, address: str) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text("1.5")
    (small.project / "evaluate.py").write_text(PROGRAM)
    (small.project / "quiet.csv").write_text("2.5")
    (small.project / ".gitignore").write_text("quiet.csv\n")
    command = ["python", "evaluate.py", str(outside), f"http://{address}/weights.bin"]
    (small.project / "envcap.toml").write_text(f"[evaluation]\ncommand = {command}\nrepeat = 1\n")

    watched = []
    for options, seen in (([], {"cat"}), ([], {"cat"}), (["--deep"], set())):
        document = small.ok("freeze", "--json", "--base", BASE, *options).document["frozen"]
        gaps = {(gap["where"], gap["subject"]) for gap in document["gaps"]}
        assert ("evaluation.network", address) in gaps
        assert ("data", str(outside)) in gaps
        assert (("data", "quiet.csv") in gaps) == bool(options)
        assert {subject for where, subject in gaps if where == "evaluation.watch"} == seen
        assert document["watched"]["written"] == ["log.txt"]
        watched.append(document["watched"])
    assert watched[0] == watched[1]
    assert (watched[0]["read"]["project"], watched[0]["read"]["data"]) == (1, 1)
    assert watched[2]["read"]["project"] == 2
