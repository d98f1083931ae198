"""Defines the project's pages: the admin, and the pages of the installed task queue."""

from __future__ import annotations

from django.apps import apps
from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/", admin.site.urls)]
if apps.is_installed("django_rq"):
    urlpatterns.append(path("django-rq/", include("django_rq.urls")))
