"""Builds campaigns in which systems ran in several versions, with known costs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lab.analysis.estimates import estimates
from lab.analysis.queries import OVERHEAD
from tests.factories.campaigns import SYNTHETIC, typed


def in_versions(
    tables: Mapping[str, pd.DataFrame],
    label: str,
    costs: Mapping[str, float],
    noise: float = 0.01,
    seed: int = 5,
) -> Mapping[str, pd.DataFrame]:
    """Return a campaign in which a label ran once in each environment; nothing else ran.

    Args:
        tables: A campaign, whose bursts of the label are repeated in each environment.
        label: The beginning of the label.
        costs: Environment -> factor of its overhead.
        noise: Spread of the logarithms between trials, beyond that which blocks share.
        seed: Seed of the noise.
    """
    rng = np.random.default_rng(seed)
    trials = tables["trial"]
    trials = trials[trials["label"].str.startswith(label) & (trials["arrival"] == "burst")]
    metrics = tables["metric"]
    metrics = metrics[metrics["metric"] == OVERHEAD].merge(trials[["trial_id"]], on="trial_id")
    parts: dict[str, list[pd.DataFrame]] = {"trial": [], "metric": []}
    for number, (environment, cost) in enumerate(costs.items()):
        ids = trials["trial_id"].astype(str) + f"{number:02x}"
        parts["trial"].append(trials.assign(trial_id=ids, environment=environment, flag="ok"))
        spread = np.exp(rng.normal(0, noise, len(metrics)))
        ids = metrics["trial_id"].astype(str) + f"{number:02x}"
        parts["metric"].append(metrics.assign(trial_id=ids, value=metrics["value"] * cost * spread))
    of = {name: typed(name, pd.concat(frames, ignore_index=True)) for name, frames in parts.items()}
    rows = estimates(of["trial"], of["metric"], SYNTHETIC, with_noisy=True)
    return {**tables, **of, "estimate": typed("estimate", rows), "trend": tables["trend"].head(0)}
