"""`wurao`: the command line's front door, and how every command ends.

Nothing is imported here before the work that imports it, so that Ctrl-C ends cleanly in the first second as well. A
reader that has gone (`| head`) and a disk that is full are the ends of commands, not faults of theirs.
"""

import errno
import sys

FULL = (errno.EBADF, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC)
"""Why a write fails that nothing is wrong with: an output that is closed, the disk, the quota, the file's size, the
device."""

INTERRUPTED = 130
"""As shells tell an end by SIGINT."""


def main(words: list[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 1 done in part or refused, 2 wrong usage, 130 interrupted."""
    try:
        _open_what_is_closed()
        try:
            code = _run(sys.argv[1:] if words is None else words)
        except SystemExit as end:  # argparse: --help, --version, wrong usage
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        sys.stdout.flush()
    except KeyboardInterrupt:
        _end_at_once()
        return INTERRUPTED
    except BrokenPipeError:
        _give_up_output()
        return 1
    except OSError as error:
        if error.errno not in FULL:
            raise
        _give_up_output()
        print(f"wurao: {error.filename or 'standard output'}: {error.strerror or error}", file=sys.stderr)
        return 1
    return code


def _run(words: list[str]) -> int:
    from stream.cli.parser import parser  # noqa: PLC0415  # so that what it imports can be interrupted

    arguments = parser(words[0] if words else None).parse_args(words)
    code: int = arguments.run(arguments)
    return code


def _open_what_is_closed() -> None:
    """Stand in for standard streams that were closed (`>&-`): else the next file that is opened takes their number.

    An input that is closed is empty, a closed output cannot be written, and errors have nowhere to go.
    """
    if None not in (sys.stdin, sys.stdout, sys.stderr):
        return
    import os  # noqa: PLC0415

    if sys.stdin is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_RDONLY), encoding="utf-8")
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w", encoding="utf-8")
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")


def _give_up_output() -> None:
    """What is left of the answer goes nowhere: else Python tries once more at its end, and says so."""
    import os  # noqa: PLC0415

    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _end_at_once() -> None:
    """A second Ctrl-C ends the process as it stands, without a traceback."""
    import signal  # noqa: PLC0415

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _give_up_output()


if __name__ == "__main__":
    sys.exit(main())
