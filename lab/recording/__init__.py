"""Reads what a trial recorded: ledger files, server statistics, host counters."""
