"""The project's settings: the least that Django starts with, and a trial's own laid over it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from lab.backends._django import VARIABLE

# Of a project that listens on loopback or in a closed network, for as long as a trial.
SECRET_KEY = "not-a-secret"  # noqa: S105
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "lab.backends._django.urls"
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
]
# Who asks for a page must know it; without one, nobody may.
PASSWORD = json.loads(os.environ.get("LAB_SETUP", "{}")).get("password", "")
MIDDLEWARE = [
    "lab.backends._django.visitor.admit",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.contrib.auth.middleware.RemoteUserMiddleware",
]
AUTHENTICATION_BACKENDS = ["lab.backends._django.visitor.Visitor"]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]
# Beside the ledger: there every process of a trial can reach it, and it goes when the trial goes.
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(Path(os.environ.get("LAB_LEDGER", ".")).parent / "django.sqlite3"),
        # As Django's notes on SQLite advise for writers in several processes.
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }
}

_own = json.loads(os.environ.get(VARIABLE, "{}"))
INSTALLED_APPS += _own.pop("INSTALLED_APPS", [])
DATABASES["default"] |= _own.pop("DATABASE", {})
globals().update(
    {name: os.path.expandvars(own) if isinstance(own, str) else own for name, own in _own.items()}
)
