"""Functions of a user, each one kind of trouble; most are cases that were reported."""
