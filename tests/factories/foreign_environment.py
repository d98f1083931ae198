"""Defines the environment variables and modules of another project."""

from __future__ import annotations

from pathlib import Path

ELSEWHERE = "127.0.0.1:9"
REDIS, AMQP = f"redis://{ELSEWHERE}/0", f"amqp://shop:secret@{ELSEWHERE}//"
JUNK = {
    **dict.fromkeys(("CELERY_BROKER_URL", "BROKER_URL", "CELERY_RESULT_BACKEND"), REDIS),
    **dict.fromkeys(("CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL"), REDIS),
    **dict.fromkeys(("RQ_REDIS_URL", "REDIS_URL", "REDIS_HOST", "CACHE_URL"), REDIS),
    **dict.fromkeys(("AMQP_URL", "RABBITMQ_URL", "CLOUDAMQP_URL"), AMQP),
    "CELERY_CONFIG_MODULE": "shop_settings",
    "RQ_CONFIG": "shop_settings",
    "RQ_JOB_CLASS": "shop.Job",
    "DASK_SCHEDULER_ADDRESS": f"tcp://{ELSEWHERE}",
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION": "7.5",
    "DASK_CONFIG": "/nowhere/dask",
    "DJANGO_SETTINGS_MODULE": "shop.settings",
    "DATABASE_URL": f"postgresql://shop:secret@{ELSEWHERE}/shop",
    "PGHOST": "127.0.0.1",
    "PGPORT": "9",
    "PGUSER": "shop",
    "PGPASSWORD": "secret",
    "PGSERVICE": "shop",
    "OMP_NUM_THREADS": "13",
    "OPENBLAS_NUM_THREADS": "13",
    "MALLOC_ARENA_MAX": "1",
    "LOKY_MAX_CPU_COUNT": "13",
    "JOBLIB_TEMP_FOLDER": "/nowhere",
    "PYTHONMALLOC": "debug",
    "PYTHONDEVMODE": "1",
    "PYTHONTRACEMALLOC": "5",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "PYTHONOPTIMIZE": "1",
    "PYTHONASYNCIODEBUG": "1",
    "COVERAGE_PROCESS_START": "/nowhere/coveragerc",
    "DJANGO_LOG_LEVEL": "DEBUG",
    "FORKED_BY_MULTIPROCESSING": "0",
    "C_FORCE_ROOT": "1",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "GITHUB_TOKEN": "secret",
    "SHELL_FUNCTION": "() { :; }",
    "EDITOR": "ed",
}
SHADOWS = ("statistics", "queue", "celery", "redis", "selectors", "json", "rq", "dask", "django")


def write_shadows(folder: Path) -> None:
    """Write modules whose import fails, with names of the standard library and of backends."""
    for name in SHADOWS:
        (folder / f"{name}.py").write_text(f'raise RuntimeError("imported {name} of the user")\n')
