"""Signed statements, checked by the library's own verifier; neither key nor passphrase is ever repeated."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from envcap.commands.reports import Reports
from envcap.errors import NotRunError, WrongUsageError
from envcap.model.verdict import Judgement, Verdict
from envcap.report.signature import read_signer

JUDGED = Judgement(
    verdict=Verdict.IDENTICAL, reasons=["equal"], image="envcap/x", image_digest="sha256:" + "a" * 64, lock="9" * 64
)
MAKERS: dict[str, Callable[[], Any]] = {
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
}


def write_key(folder: Path, private: Any, passphrase: str = "") -> Path:
    closed = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    path = folder / "key.pem"
    path.write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, closed))
    return path


@pytest.mark.parametrize("kind", MAKERS)
def test_the_statements_are_signed(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private = MAKERS[kind]()
    monkeypatch.setenv("ENVCAP_SIGN_PASSPHRASE", "open sesame")
    report = tmp_path / "verify.jsonl"
    Reports([report], name="x", key=write_key(tmp_path, private, "open sesame")).write(JUDGED, None)
    lines = report.read_text().splitlines()
    key = SSlibKey.from_crypto(private.public_key())
    assert len(lines) == 2
    for line in lines:
        envelope = Envelope.from_dict(json.loads(line))
        assert envelope.verify([key], 1)
        assert envelope.payload_type == "application/vnd.in-toto+json"
        assert json.loads(envelope.payload)["subject"][0]["digest"] == {"sha256": "a" * 64}
        envelope.payload = envelope.payload.replace(b"IDENTICAL", b"DIFFERENT").replace(b"PASSED", b"FAILED")
        with pytest.raises(VerificationError):
            envelope.verify([key], 1)
    assert "sesame" not in report.read_text()


def test_a_wrong_key_is_told_before_the_run_and_never_shown(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("-----BEGIN PRIVATE KEY-----\nc2VjcmV0LWNhbmFyeQ==\n-----END PRIVATE KEY-----\n")
    closed = write_key(tmp_path, ed25519.Ed25519PrivateKey.generate(), "open sesame")
    other = tmp_path / "exchange"
    other.mkdir()
    for path in (wrong, closed, tmp_path / "none.pem", write_key(other, x25519.X25519PrivateKey.generate())):
        for passphrase in (None, "secret-canary"):
            with pytest.raises(WrongUsageError) as refused:
                read_signer(path, passphrase=passphrase)
            said = refused.value.message + refused.value.hint
            assert str(path) in said
            assert "canary" not in said
            assert "c2Vjcm" not in said


def test_a_key_and_nothing_to_sign(tmp_path: Path) -> None:
    key = write_key(tmp_path, ed25519.Ed25519PrivateKey.generate())
    with pytest.raises(WrongUsageError, match="nothing to sign"):
        Reports([tmp_path / "verify.json"], name="x", key=key)


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "securesystemslib.signer", None)
    with pytest.raises(NotRunError) as failed:
        read_signer(tmp_path / "key.pem", passphrase=None)
    assert "envcap[sign]" in failed.value.hint
