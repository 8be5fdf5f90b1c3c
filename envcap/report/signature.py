"""Statements signed with a key: each line becomes a DSSE envelope (in-toto Attestation Framework, "Envelope layer").

securesystemslib, in-toto's own library, reads the key and signs. It is in the extra `envcap[sign]`.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from envcap.errors import NotRunError, WrongUsageError

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner

_PAYLOAD_TYPE = "application/vnd.in-toto+json"


def read_signer(key: Path, *, passphrase: str | None) -> "CryptoSigner":
    """Read a private key (PEM: Ed25519, ECDSA or RSA) to sign with.

    Raises NotRunError without the extra, WrongUsageError for what is no such key; neither repeats what is in the file.
    """
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from securesystemslib.signer import CryptoSigner
    except ImportError as error:
        raise NotRunError(
            "Signing needs a library that is not installed.", hint="Install it: `pip install 'envcap[sign]'`."
        ) from error
    try:
        private = load_pem_private_key(key.read_bytes(), passphrase.encode() if passphrase else None)
        return CryptoSigner(private)
    except OSError as error:
        raise WrongUsageError(f"The key `{key}` cannot be read: {error.strerror}.") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise WrongUsageError(
            f"`{key}` is no private key that can sign, or its passphrase is another.",
            hint="Use an Ed25519, ECDSA or RSA key in PEM; its passphrase belongs in ENVCAP_SIGN_PASSPHRASE.",
        ) from None


def sign_lines(statements: str, signer: "CryptoSigner") -> str:
    """Give an envelope for each statement, one a line."""
    from securesystemslib.dsse import Envelope

    lines = []
    for statement in statements.splitlines():
        envelope = Envelope(statement.encode(), _PAYLOAD_TYPE, {})
        envelope.sign(signer)
        lines.append(json.dumps(envelope.to_dict(), sort_keys=True))
    return "".join(f"{line}\n" for line in lines)
