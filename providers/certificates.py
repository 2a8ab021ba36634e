"""When certificates end. Asked by who alerts and by `doctor`."""

from __future__ import annotations

from datetime import datetime


def ends_at(pem: str) -> datetime:
    """The end of the first certificate in the text, UTC. None outlives the CA that signed it. Raises ValueError for
    what is no certificate."""
    from cryptography import x509  # here: a preview of a stack that has no certificate yet should not pay for it

    return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc
