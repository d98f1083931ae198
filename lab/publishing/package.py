"""Writes a run as a Frictionless Data Package: tables, dictionary, checksums and instructions.

Standard: datapackage.org/standard, profile `tabular-data-package` (METHOD M35). All content comes
from the run's tables, so that a second call writes the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pa_parquet

from lab.analysis.queries import of_faults
from lab.core import files
from lab.core.errors import ResultsError, UsageError
from lab.core.outcomes import TaskOutcome
from lab.figures import FIGURES
from lab.figures.history import OVER_TIME
from lab.publishing import about
from lab.publishing.scrub import Scrub
from lab.publishing.tables import PublishedTables
from lab.report import page
from lab.results import formats, packages
from lab.results.arrow_schema import key_of, schema
from lab.results.dictionary import describe_package
from lab.results.schema import CSV_TABLES, PARQUET_TABLES, TABLES
from lab.results.store import REFERENCES, Store, has_table

CHECKSUMS = "SHA256SUMS"
TYPES = {"int64": "integer", "double": "number", "string": "string"}
# A spreadsheet evaluates a cell that begins with one of these as a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
# Rows that are written together: a group for each trial would be larger than most of its tables.
GROUP_ROWS = 100_000
# OVER_TIME needs other runs, which are not in the package.
CHARTS = [chart for chart in FIGURES.values() if chart is not OVER_TIME]


def write(run: Path, target: Path, lock: Path, tables: Sequence[str]) -> list[Path]:
    """Write `tables` of `run` as a package into the new folder `target`; return its files.

    Raises:
        UsageError: `target` exists.
        ResultsError: A table of the run is damaged or missing, or the folder cannot be written.
    """
    if target.exists():
        raise UsageError(f"{target} exists. Choose another folder with --to.")
    store = Store(run)
    store.check()
    building = target.with_name(f"{target.name}.{os.getpid()}.new")
    with files.sentences(target, files.REPEAT):
        building.mkdir(
            parents=True
        )  # fails if the folder exists, so that another process's folder is never used
        try:
            _fill(building, store, lock, tables)
            building.replace(target)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return sorted(file for file in target.rglob("*") if file.is_file())


def _fill(folder: Path, store: Store, lock: Path, tables: Sequence[str]) -> None:
    scrub = Scrub()
    published = PublishedTables(store.folder, scrub)
    is_complete = "task" in tables
    csv_tables = [name for name in CSV_TABLES if name in tables]
    resources = list(_csv_files(published, folder, csv_tables, is_complete=is_complete))
    by_task = [name for name in PARQUET_TABLES if name in tables]
    if is_complete or not of_faults(published["trial"]).empty:
        resources += _parquet_files(store, published, folder, by_task, is_complete=is_complete)
    # Drawn from the scrubbed tables, because the run's figures and page hold private text.
    pictures = page.draw_figures(published, folder, CHARTS)
    for file in (folder / "figures").glob("*.csv"):
        cells = pd.read_csv(file, dtype=str, keep_default_na=False)
        cells.apply(_disarmed).to_csv(file, index=False, lineterminator="\n")
    page.write_page(published, pictures, folder)
    _json(folder / "plan.json", _plan(store.folder, scrub))
    shutil.copyfile(lock, folder / "lock.txt")
    files_of = {str(resource["name"]): str(resource["path"]) for resource in resources}
    (folder / "DICTIONARY.md").write_text(describe_package(files_of), encoding="utf-8")
    campaign, environment = published["campaign"].iloc[0], published["environment"]
    facts = about.facts(campaign, environment, published["trial"])
    for name, template in about.TEXTS.items():
        (folder / name).write_text(template.format_map(facts), encoding="utf-8")
    _json(folder / "datapackage.json", _descriptor(facts, resources))
    write_checksums(folder)


def _csv_files(
    published: PublishedTables, folder: Path, tables: Sequence[str], *, is_complete: bool
) -> Iterator[dict[str, Any]]:
    for table in tables:
        rows = published[table].copy()
        if table == "estimate" and not is_complete:
            # Most of them are of one trial, which `metric` has, and they would fill the package.
            rows = rows[rows["fault"] == ""]
        for name in rows.columns[rows.dtypes == "str"]:
            rows[name] = _disarmed(rows[name])
        path = folder / f"{table}.csv"
        path.write_bytes(formats.to_csv(table, rows, path, header=True))
        yield _resource(table, path, {"encoding": "utf-8", "schema": _table_schema(table)})


def _disarmed(texts: pd.Series) -> pd.Series:
    """Put an apostrophe before texts that a spreadsheet would evaluate; keep negative numbers."""
    is_text = pd.to_numeric(texts, errors="coerce").isna()
    return texts.mask(is_text & texts.str.startswith(FORMULA).fillna(value=False), "'" + texts)


def _parquet_files(
    store: Store,
    published: PublishedTables,
    folder: Path,
    tables: Sequence[str],
    *,
    is_complete: bool,
) -> Iterator[dict[str, Any]]:
    """Write each table of `tables` as one file, trial by trial."""
    trials = store.read("trial")
    if not is_complete:
        trials = of_faults(trials)
    for table in tables:
        metadata = {"about": "attempt at the trial", "unit": ""}
        attempt_field = pa.field(packages.ATTEMPT, pa.int64(), nullable=False, metadata=metadata)
        whole = schema(table).insert(1, attempt_field)
        path = folder / f"{table}.parquet"
        with pa_parquet.ParquetWriter(
            path, whole, compression="zstd", write_page_checksum=True
        ) as writer:
            waiting: list[pa.Table] = []
            columns = (trials[name] for name in ("trial_id", "attempt", "n_done"))
            for trial_id, attempt, n_done in zip(*columns, strict=True):
                trial = store.trial_folder(str(trial_id), int(attempt))
                # A skipped trial has no files, and not every trial has every table.
                is_required = table == "task" and int(n_done) > 0
                if is_required or has_table(trial, table):
                    rows = published.scrubbed(table, store.read(table, trial))
                    if table == "outcome" and not is_complete:
                        rows = rows[rows["outcome"] != TaskOutcome.OK].copy()
                    rows.insert(1, packages.ATTEMPT, int(attempt))
                    waiting.append(pa.Table.from_pandas(rows, whole, preserve_index=False))
                if sum(map(len, waiting)) >= GROUP_ROWS:
                    writer.write_table(pa.concat_tables(waiting))
                    waiting.clear()
            if waiting:
                writer.write_table(pa.concat_tables(waiting))
        # A Parquet file has its own schema; the descriptor adds the meaning of the columns.
        yield _resource(table, path, {"columns": _fields(whole), "schema": _as_read(whole)})


def _resource(table: str, path: Path, details: dict[str, Any]) -> dict[str, Any]:
    media = {".csv": "text/csv", ".parquet": "application/vnd.apache.parquet"}
    return {
        "name": table,
        "path": path.name,
        "format": path.suffix.removeprefix("."),
        "mediatype": media[path.suffix],
        "description": TABLES[table].ABOUT,
        **details,
    }


def _table_schema(table: str) -> dict[str, Any]:
    content: dict[str, Any] = {"fields": _fields(schema(table)), "missingValues": [""]}
    if not any(schema(table).field(name).nullable for name in key_of(table)):
        content["primaryKey"] = key_of(table)
    content["foreignKeys"] = [
        {"fields": [column], "reference": {"resource": target, "fields": [column]}}
        for source, column, target in REFERENCES
        if source == table
    ]
    return content


def _as_read(columns: pa.Schema) -> dict[str, Any]:
    """Return the schema with which frictionless validates a Parquet file.

    It reads the file by pandas, which has no missing integers: a column with one has numbers.
    Without a schema, it would decide by the first rows that such a column has integers.
    """
    types = [(c.name, TYPES[str(c.type)], c.nullable) for c in columns]
    return {
        "fields": [
            {"name": name, "type": "number" if nullable and type_ == "integer" else type_}
            for name, type_, nullable in types
        ]
    }


def _fields(columns: pa.Schema) -> list[dict[str, Any]]:
    return [
        {
            "name": column.name,
            "type": TYPES[str(column.type)],
            "description": column.metadata[b"about"].decode(),
            "unit": column.metadata[b"unit"].decode(),
            # In CSV an empty text and a missing text are equal.
            "constraints": {"required": not column.nullable and str(column.type) != "string"},
        }
        for column in columns
    ]


def _descriptor(facts: dict[str, str], resources: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": facts["run"].lower(),
        "title": facts["title"],
        "version": facts["version"],
        "created": f"{facts['date']}T00:00:00Z",
        "licenses": [about.LICENCE],
        "resources": resources,
    }


def _plan(run: Path, scrub: Scrub) -> dict[str, Any]:
    """Return the run's plan with its texts scrubbed."""
    try:
        plan: dict[str, Any] = files.read_json(run / "plan.json", run)
        skips = [[spec, scrub.text(reason)] for spec, reason in plan.get("skips", [])]
        return {**plan, "command": scrub.text(plan.get("command", "")), "skips": skips}
    except (ValueError, TypeError, AttributeError) as error:
        raise ResultsError(
            f"{run / 'plan.json'} is damaged: the run cannot be published."
        ) from error


def _json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def write_checksums(folder: Path) -> None:
    """Write the checksum of every file of a package, also after one of them was replaced."""
    (folder / CHECKSUMS).unlink(missing_ok=True)
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    lines = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(folder).as_posix()}\n"
        for file in files
    ]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def numbers_of(run: Path, trial_id: str) -> pd.DataFrame:
    """Return the metrics of a trial's last attempt, from a run or a published package."""
    numbers = Store(run).read("metric")
    return numbers.loc[numbers.trial_id == trial_id].query("attempt == attempt.max()")
