"""Tests the claims of the first pages of further systems: their sources, and where they run."""

from __future__ import annotations

import re

from lab.claims.criteria import CRITERIA, plan
from lab.claims.first_pages import FIRST_PAGES, OF_VARIANTS
from lab.claims.published_claims import PUBLISHED
from lab.planning import registry
from tests.unit.claims.test_delivery import SOURCE

# What the variant lacks answers the claim, so that no trial is needed.
LACKING = {
    ("dramatiq[processes]@default", "priority"),
    ("huey[thread]@default", "priority"),
    ("django-tasks[rq]@default", "priority"),
    ("dramatiq[processes]@default", "periodic"),
}


def test_each_further_system_has_claims_with_sources() -> None:
    """They name what no trial tests as well."""
    systems = registry.backends().items()
    assert {*FIRST_PAGES} == {name for name, b in systems if b.extra and not b.by_default}
    sentences = [claim.statement for system in FIRST_PAGES.values() for claim in system.claims]
    sentences += [claim.statement for claims in OF_VARIANTS.values() for claim in claims]
    sentences += [words for system in FIRST_PAGES.values() for words in system.unjudged]
    assert [words for words in sentences if not re.search(SOURCE, words)] == []
    assert all(system.unjudged for system in FIRST_PAGES.values())


def test_claims_of_a_variant_are_those_of_its_backend() -> None:
    """AnyIO is a variant of asyncio."""
    for name, claims in OF_VARIANTS.items():
        assert {*claims} <= {*PUBLISHED[name].claims}


def test_a_claim_is_tested_where_the_servers_of_its_system_are() -> None:
    """PostgreSQL runs in containers only, and a submitter is killed on this machine only."""
    planned = plan(
        (
            (claim.criterion, label)
            for name, system in FIRST_PAGES.items()
            for claim in system.claims
            for label in claim.ways or (name,)
        ),
        seed=1,
    )
    providers = {spec.label: spec.provider for spec in planned.trials}
    assert providers["procrastinate[processes]@default"] == "compose"
    assert providers["dramatiq[processes+rabbitmq+priorities]@default"] == "compose"
    assert providers["dramatiq[processes]@default"] == "local"
    assert CRITERIA["background"].trials.provider_of("procrastinate") == "local"
    skipped = {(skip.spec.label, skip.spec.arrival.kind) for skip in planned.skips}
    assert skipped == LACKING
