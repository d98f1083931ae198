"""Defines the project's settings: the minimum for Django, merged with the trial's settings."""

from __future__ import annotations

import json
import os
from pathlib import Path

from lab.backends._django import VARIABLE

# The project listens only on loopback or in an internal network, for the duration of a trial.
# A constant, because django-q2 signs messages with it in one process and verifies in another.
SECRET_KEY = "not-a-secret"  # noqa: S105
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "lab.backends._django.urls"
USE_TZ = True
# django-q2 reads cron lines in this zone; those of the lab are in UTC (METHOD M26).
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
# Every request needs the password; an empty password rejects all requests.
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
# In the ledger's folder, which all processes of a trial can access, and which the lab removes.
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(Path(os.environ.get("LAB_LEDGER", ".")).parent / "django.sqlite3"),
        # Recommended in Django's notes on SQLite for writers in several processes.
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }
}

_trial = json.loads(os.environ.get(VARIABLE, "{}"))
INSTALLED_APPS += _trial.pop("INSTALLED_APPS", [])
DATABASES["default"] |= _trial.pop("DATABASE", {})
globals().update(
    {
        name: os.path.expandvars(value) if isinstance(value, str) else value
        for name, value in _trial.items()
    }
)
