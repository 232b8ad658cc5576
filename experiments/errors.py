"""What a person can get wrong at the command line."""


class RunError(Exception):
    """A run that cannot be started or continued; the message says why and what to do."""
