"""Workloads that misbehave, written where a test asks for them and importable in any worker."""

from __future__ import annotations

RAISING = """
from workloads.noop import *
SUMMARY = "Raises."

def run(argument):
    raise RuntimeError("this task always raises")

async def run_async(argument):
    run(argument)
"""

HANGING = """
import asyncio, time
from workloads.noop import *
SUMMARY = "Hangs on every fifth task."

def run(argument):
    if argument % 5 == 0:
        time.sleep(3600)
    return argument

async def run_async(argument):
    if argument % 5 == 0:
        await asyncio.sleep(3600)
    return argument

def argument(size, seed):
    return seed
"""

LYING = """
from workloads.noop import *
SUMMARY = "Answers wrongly now and then."

def argument(size, seed):
    return seed

def run(argument):
    return argument + (argument % 10 == 3)

async def run_async(argument):
    return run(argument)
"""

DYING = """
import os
from workloads.noop import *
SUMMARY = "Kills its worker."

def argument(size, seed):
    return seed

def run(argument):
    if argument % 10 == 7:
        os.kill(os.getpid(), 9)
    return argument

async def run_async(argument):
    return run(argument)
"""
