"""Tests that bad input is refused in one sentence with the range, before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.cli.main import main
from lab.cli.options import OPTIONS
from lab.core.errors import ExitCode
from lab.planning import ranges
from tests.conftest import RunCli

LOCAL = ("--provider", "local", "--dry-run")
HUGE = "9" * 26
REFUSED = {ExitCode.USAGE, ExitCode.NOTHING_SELECTED, ExitCode.MACHINE_FAILED}
NUMBERS = {
    name.split()[0]: facts["type"]
    for options in OPTIONS.values()
    for name, facts in options.items()
    if isinstance(facts.get("type"), ranges.NUMBERS)
}


def test_each_number_has_a_range_and_the_help_shows_it(run_cli: RunCli) -> None:
    """Help texts and checks use the same table, `lab.planning.ranges`."""
    assert set(NUMBERS) == {
        *("--rate", "--tasks", "--seconds", "--occurrences", "--cores", "--nodes", "--workers"),
        *("--quota", "--drivers", "--blocks", "--precision", "--seed"),
    }
    shown = " ".join(run_cli("bench", "--help").stdout.split())
    for name, kind in NUMBERS.items():
        assert str(kind) in shown, name
    assert str(ranges.PAIRS) in " ".join(run_cli("compare", "--help").stdout.split())


@pytest.mark.parametrize("option", sorted(NUMBERS))
@pytest.mark.parametrize(
    "value",
    [
        HUGE,
        "9" * 5_000,
        "-1",
        "",
        " ",
        "1_0",
        "\u0663",
        "1e999",
        "nan",
        "inf",
        "0x10",
        "1,,2",
        "None",
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_number_out_of_its_range_is_refused_with_the_range(
    option: str, value: str, run_cli: RunCli
) -> None:
    """Texts that `int` or `float` would accept are refused too, in one short sentence."""
    shown = run_cli("bench", *LOCAL, "-b", "inline", f"{option}={value}")
    assert shown.returncode == ExitCode.USAGE
    message = " ".join(shown.stderr.split())
    assert message.startswith(f"lab: argument {option}: ")
    assert message.endswith("See: lab bench --help")
    assert str(NUMBERS[option]) in message
    assert len(message) < 200
    assert shown.stdout == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-w noop:5", "Workload 'noop' has no size. Write --workload noop."),
        ("-w flaky:1", "Workload 'flaky' has no size"),
        (
            "-w cpu:",
            "Size of workload 'cpu' in us: '' is not a whole number from 1 to 3,600,000,000",
        ),
        (
            "-w cpu:20min",
            "'20min' is not a whole number from 1 to 3,600,000,000, with or without us",
        ),
        ("-w cpu:0ms", "'0ms' is not a whole number from 1 to 3,600,000,000"),
        (f"-w cpu:{HUGE}", "is not a whole number from 1 to 3,600,000,000"),
        ("-w payload:2000000000", "is not a whole number from 1 to 1,073,741,824"),
        ("-w=", "Unknown workload ''"),
        ("-b=", "'' is not a backend"),
        ("--arrival=", "Unknown arrival ''"),
        ("--preset=", "Unknown preset ''"),
        ("--task=", "'' is not the name of a function"),
        ("--args=[1]", "--args needs --task"),
        (f"--cores {ranges.CPUS + 1}", f"is not a whole number from 1 to {ranges.CPUS}"),
        ("--workers 100000", "is not a whole number from 1 to 1,000"),
        ("-w cpu --blocks 1000 --workers 1,2,3,4,5,6,7,8,9,10 --nodes 1,2,3,4,5,6,7,8", "trials"),
        ("-b inline -w cpu:3600000000 --tasks 1000000", "more than the limit of 30"),
        ("-b thread-pool -w scaling --tasks 1000000 --workers 1000", "use a smaller --tasks"),
        ("-b deadline-loop -w periodic --occurrences 86400", "longer than a day"),
        ("--fault worker-kil", "Unknown fault 'worker-kil'. Did you mean 'worker-kill'"),
        ("--fault worker-kill:soon", "'soon' is no factor. Write no-restart"),
        ("--fault=", "Unknown fault ''"),
        ("-b celery --arrival ranked --tasks 3", "must be more than its 5 urgent tasks"),
    ],
)
def test_an_impossible_selection_is_one_sentence(text: str, message: str, run_cli: RunCli) -> None:
    """Sizes of workloads without one, empty names and too large campaigns are refused."""
    shown = run_cli("bench", *LOCAL, *text.split())
    assert (shown.returncode, shown.stdout) == (ExitCode.USAGE, "")
    assert message in " ".join(shown.stderr.split())


@pytest.mark.parametrize(
    ("unit", "text", "size"),
    [
        ("us", "20ms", 20_000),
        ("us", "2s", 2_000_000),
        ("us", "50us", 50),
        ("us", "50", 50),
        ("B", "64KiB", 65_536),
        ("B", "10B", 10),
        ("KiB", "1MiB", 1_024),
    ],
)
def test_a_size_may_have_a_unit(unit: str, text: str, size: int) -> None:
    """A user need not convert 20 ms into the microseconds of the workload."""
    assert ranges.SIZES[unit](text) == size


@pytest.mark.parametrize("given", ["[" * 100_000, "[" + "9" * 5_000 + "]", "5", "{", "\udcff"])
def test_arguments_that_are_not_json_are_one_sentence(given: str, run_cli: RunCli) -> None:
    """The sentence quotes the text, truncated, whatever its depth and length."""
    shown = run_cli("bench", *LOCAL, "--task", "os:getcwd", "--args", given)
    assert shown.returncode == ExitCode.USAGE
    assert len(shown.stderr) < 1_000


@pytest.mark.parametrize(
    "text",
    [
        "compare a b --threshold nan",
        "compare a b --threshold -1",
        "compare a b --pairs 0",
        "compare a b --pairs 1001",
        "claims --seed -1",
        f"claims --seed {HUGE}",
    ],
)
def test_other_commands_have_ranges_too(text: str, run_cli: RunCli) -> None:
    """With a threshold of nan, no number would be judged as worse."""
    shown = run_cli(*text.split())
    assert shown.returncode == ExitCode.USAGE
    assert "number from" in " ".join(shown.stderr.split())


def test_a_repeated_selection_is_used_once(run_cli: RunCli) -> None:
    """Duplicates are allowed."""
    once = run_cli(
        "bench",
        *LOCAL,
        *["-b", "inline", "-w", "noop", "--cores", "1", "--blocks", "1", "--seed", "1"],
    )
    twice = "-b inline -b inline -w noop -w noop --cores 1,1 --blocks 1 --seed 1"
    assert run_cli("bench", *LOCAL, *twice.split()).stdout == once.stdout


NASTY = st.sampled_from(
    [
        *(
            "",
            " ",
            "0",
            "1",
            "2",
            "-1",
            "1,2",
            "1,,",
            HUGE,
            "1e400",
            "nan",
            "\u0663",
            "--",
            "-",
            "=",
        ),
        *("noop", "cpu", "noop:5", "cpu:0", "io:10", "latency", "scaling", "idle", "flaky", "nope"),
        *("inline", "thread-pool", "celery", "rq@safe", "x[y]@z", "null", "celery[", "../.."),
        *("burst", "paced", "round-trip", "periodic", "ranked", "quick", "standard", "local", "x"),
        *("os:getcwd", "[1]", "{", "a:b", "/dev/null", "\udcff", "uniform", "0.5", "1e-3", "%s"),
        *("*", "\x1b[31m"),
    ]
)
# Options that would start containers or call a function are not used.
FIXED = ("--provider", "--task", "--like", "--resume", "--turns", "--dry-run", "--preset")
NAMES = [
    word
    for options in OPTIONS.values()
    for names in options
    for word in names.split()
    if word not in FIXED
]
WORDS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(NAMES), NASTY),
        st.builds(lambda name, value: (f"{name}={value}",), st.sampled_from(NAMES), NASTY),
        st.tuples(NASTY),
    ),
    max_size=5,
)


@given(words=WORDS)
@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_arguments_cause_a_traceback(
    words: list[tuple[str, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Option names with unusual values give a plan or a refusal, never a defect."""
    flat = [word for group in words for word in group]
    results = tmp_path_factory.getbasetemp() / "none"
    # At the end, so that they override earlier options; one backend keeps the plan small.
    fixed = [*LOCAL, "--preset", "quick", "-b", "inline", "--results", str(results)]
    try:
        code = main(["bench", *flat, *fixed])
    except SystemExit as ended:
        code = int(ended.code or 0)
    assert code in {ExitCode.FINE, *REFUSED} - {ExitCode.MACHINE_FAILED}
    assert not Path(results).exists()
