"""`python -m loadtest.peers`: set up the peers that need more than the project has. This is `make peers`."""

import subprocess
import sys

from loadtest.peers import environment, java_build


def main() -> int:
    """Set all peers up; exit code 1, with the reason, where that fails."""
    try:
        environment.make()
        java_build.build()
    except (java_build.JavaBuildError, subprocess.CalledProcessError) as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
