"""procrastinate with its worker command: one process for each slot, or one for all."""

from __future__ import annotations

import os
import subprocess
import sys

from procrastinate import App, PsycopgConnector

from tests.fidelity import stamps

POSTGRES = "FIDELITY_POSTGRES"
app = App(connector=PsycopgConnector(conninfo=os.environ.get(POSTGRES, "")))


@app.task(name="noop")  # type: ignore[untyped-decorator]
def noop(number: int) -> int:
    """Stamp and return the argument."""
    stamps.stamp()
    return number


def main() -> None:
    """Make the tables, start the workers, warm them up, defer all jobs and wait for them."""
    given = stamps.options(__doc__, "processes", "event-loop")
    os.environ[POSTGRES] = given.postgres
    command = [sys.executable, "-m", "procrastinate", "--app=tests.fidelity.with_procrastinate.app"]
    subprocess.run([*command, "schema", "--apply"], check=True, capture_output=True)
    command.append("worker")
    commands = [command] * given.workers
    if given.variant == "event-loop":
        commands = [[*command, "--concurrency", str(given.workers)]]
    client = App(connector=PsycopgConnector(conninfo=given.postgres))
    with stamps.file(), stamps.workers(commands, given.worker_cpus), client.open():
        for tasks in (20 * given.workers, given.tasks):
            for number in range(tasks):
                client.configure_task("noop").defer(number=number)
            instants = stamps.wait_for(tasks)
    stamps.report(instants)


if __name__ == "__main__":
    main()
