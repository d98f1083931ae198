"""The command line: one file a command, its options, its selection and its progress."""
