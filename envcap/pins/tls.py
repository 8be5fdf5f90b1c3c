"""Whom to trust: the TLS contexts that pip's settings mean. Imports nothing heavy, for the plain way to an index."""

import os
import ssl
from pathlib import Path

from envcap.errors import NotRunError
from envcap.pins.configuration import Configuration


def verifying(configuration: Configuration) -> ssl.SSLContext:
    """Give a TLS context that trusts pip's certificate, else that of the variables which requests knows.

    Without either it trusts what the system does, as pip has done since 24.2, and what requests does. Raises
    NotRunError when the certificates cannot be read.
    """
    variables = (os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"))
    bundle = configuration.certificate or next(filter(None, variables), None)
    try:
        if bundle is None:
            from certifi import where

            context = ssl.create_default_context()
            context.load_verify_locations(where())
        else:
            folder = Path(bundle).is_dir()
            context = ssl.create_default_context(cafile=None if folder else bundle, capath=bundle if folder else None)
    except OSError as error:
        raise NotRunError(
            f"The certificates in `{bundle}` cannot be read: {error.strerror or error}.",
            hint="pip's setting `cert` or the variable REQUESTS_CA_BUNDLE names them.",
        ) from error
    return _with_client_certificate(context, configuration)


def trusting(configuration: Configuration) -> ssl.SSLContext:
    """Give a TLS context that asks for no certificate, for pip's `trusted-host`."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _with_client_certificate(context, configuration)


def is_trusted(configuration: Configuration, *, host: str, port: int | None) -> bool:
    """Tell whether pip would ask this server for no certificate."""
    return bool({host, f"{host}:{port}"} & set(configuration.trusted_hosts))


def _with_client_certificate(context: ssl.SSLContext, configuration: Configuration) -> ssl.SSLContext:
    if configuration.client_certificate is not None:
        try:
            context.load_cert_chain(configuration.client_certificate)
        except OSError as error:
            raise NotRunError(
                f"The client certificate `{configuration.client_certificate}` cannot be read: "
                f"{error.strerror or error}.",
                hint="pip's setting `client-cert` names it.",
            ) from error
    return context
