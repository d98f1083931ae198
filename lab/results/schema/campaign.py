"""Defines the table with one row for each campaign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lab.core.column import column


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """One campaign: one plan on one machine with one fingerprint."""

    # A value and not the docstring, which `python -OO` removes.
    ABOUT: ClassVar[str] = "One campaign: one plan on one machine with one fingerprint."
    KEY: ClassVar[tuple[str, ...]] = ("campaign_id",)

    campaign_id: str = column("name of the run folder")
    schema_version: str = column("version of these tables")
    fingerprint_id: str = column("sha256 (16 digits) over the stable fields of `environment`")
    # The plan is fixed before the first trial, and so are its rules of growth (METHOD M1).
    spec_hash: str = column("sha256 of the plan and of the rules that extend it")
    git_commit: str = column("commit of the lab; empty outside a checkout")
    # Text, because outside a checkout it is empty, which is neither 0 nor 1.
    git_dirty: str = column("1 if tracked files differed from the commit")
    started_utc: str = column("start of the campaign, ISO 8601")
    preset: str = column("quick, standard, publish or claims")
    seed: int = column("random seed of the order, the arrivals and the arguments")
    command: str = column("command line after `lab`")
