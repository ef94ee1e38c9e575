"""Errors that a user can act on. Each message says what is wrong, where, and what to do next, in one line."""


class PosttrainError(Exception):
    """Base of all errors shown to a user as one line instead of a traceback."""


class InputError(PosttrainError):
    """The user's input is wrong: the command line ends with exit code 2."""


class DataError(PosttrainError):
    """A data source cannot be read or has no usable row: recorded as the trial's error."""


class TrainError(PosttrainError):
    """Training went wrong in a way that is a result (NaN loss, out of memory): recorded as the trial's error."""


class JudgeError(PosttrainError):
    """A judge gave no verdict, or none is affordable: there is no score. The verdicts that it gave are kept."""


class ProgramError(PosttrainError):
    """A user's scoring program failed, or what it wrote holds no score: recorded as the trial's error."""


class LedgerError(PosttrainError):
    """The ledger is damaged or its chain is broken."""


class OwnedError(InputError):
    """Another living process owns the run folder."""


def unknown(kind: str, name: str, known: list[str]) -> InputError:
    """The error for a name that does not exist: it lists what does, nearest first."""
    import difflib

    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}? " if near else ""
    return InputError(f"unknown {kind} '{name}': {hint}known are {', '.join(sorted(known)) or 'none'}")
