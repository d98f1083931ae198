"""The process that submits the tasks of one trial."""
