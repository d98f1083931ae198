"""Restricts the project's pages to requests with the trial's password, and to read access.

Every user of the machine can reach a page on loopback, so the password check comes first.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.backends import RemoteUserBackend
from django.http import HttpResponse

from lab.backends._django import credentials


def admit(respond: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Answer requests that carry the password, and reject others (Django docs, Middleware)."""
    expected = credentials(settings.PASSWORD)["Authorization"]

    def answer(request: Any) -> Any:
        given = request.headers.get("Authorization", "")
        # In bytes, because compare_digest rejects texts with characters beyond ASCII.
        if settings.PASSWORD and hmac.compare_digest(given.encode(), expected.encode()):
            return respond(request)
        return HttpResponse(status=401)

    return answer


class Visitor(RemoteUserBackend):  # type: ignore[misc] # Django ships no types
    """Grants view access to the named user (Django docs, Authentication using REMOTE_USER)."""

    def configure_user(self, request: Any, user: Any, created: bool = True) -> Any:  # noqa: FBT001, FBT002
        """Grant access to the admin."""
        user.is_staff = True
        user.save(update_fields=["is_staff"])
        return user

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """Grant only permissions to view, which is enough for a monitor."""
        return ".view_" in perm

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        """Show every app."""
        return True
