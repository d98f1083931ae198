"""Who sees the project's pages: a web server has named the visitor, and it may change nothing."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import RemoteUserBackend


class Visitor(RemoteUserBackend):  # type: ignore[misc] # Django ships no types
    """Lets whoever is named look at everything (Django docs, Authentication using REMOTE_USER)."""

    def configure_user(self, request: Any, user: Any, created: bool = True) -> Any:  # noqa: FBT001, FBT002
        """Let the visitor into the admin."""
        user.is_staff = True
        user.save(update_fields=["is_staff"])
        return user

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """Allow to view, which is all that a monitor is for."""
        return ".view_" in perm

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        """Show every app."""
        return True
