"""The one exception that is meant for people."""


class SvpgError(Exception):
    """Bad input or a missing prerequisite.

    The message is one line: what is wrong, with the offending value, and how to mend it. The command
    line prints it and exits with 2.
    """
