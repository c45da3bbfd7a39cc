"""Charges each request message to the quotas of its token."""

from typing import Any

from dragoman_server.security.grant import current_grant
from dragoman_server.security.quotas import Quotas


class QuotaCharge:
    """Refuses a message of Dragoman's services for which its token has too little left."""

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas

    def charge(self, request: Any) -> None:
        """Count the message; raises `QuotaExceededError` and `LimitExceededError`."""
        grant = current_grant()
        if grant is not None:
            self._quotas.charge(grant, request)
