"""`wurao sign`: signatures of snapshots, bases and policy files, for whoever may vouch for them."""

import argparse
import os
from pathlib import Path

from bloom.signatures import Keys, SignatureError, mapped, signature_of
from stream import config as configuration
from stream.cli.common import add_config, failed
from stream.config import ConfigError


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    command = commands.add_parser(
        "sign",
        help="sign policy files, snapshots and bases",
        description="Writes FILE.hmac beside each file, by the first of the keys that integrity.key_file holds. Where\n"
        "such keys are configured, no other snapshot, base or policy file is used (docs/signatures.md).\n"
        "Exit code 1 where a file could not be signed or, with --check, is not signed as it is now.",
        epilog="examples:\n"
        "  openssl rand -hex 32 > key && chmod 600 key       a key\n"
        "  export WURAO_INTEGRITY__KEY_FILE=key\n"
        "  wurao sign policy.toml\n"
        "  wurao sign --check policy.toml snapshots/*.snapshot",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("files", metavar="FILE", type=Path, nargs="+", help="what to sign, as it is now")
    command.add_argument("--check", action="store_true", help="sign nothing, and tell which files are not signed")
    add_config(command)
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Sign or check the files. Returns 0, or 1 where one of them failed; the others are done all the same."""
    try:
        keys = configuration.keys_of(configuration.load(arguments.config, os.environ))
    except ConfigError as error:
        return failed("sign", str(error))
    if keys is None:
        return failed(
            "sign", "no key: name a file that holds one in integrity.key_file, as `openssl rand -hex 32` makes"
        )
    return max(_one(path, keys, check=arguments.check) for path in arguments.files)


def _one(path: Path, keys: Keys, *, check: bool) -> int:
    try:
        with mapped(path, None) as (_, data):
            if check:
                keys.verify(path, data)
            else:
                keys.sign(path, data)
    except SignatureError as error:
        return failed("sign", str(error))
    except OSError as error:
        return failed("sign", f"{error.filename or path}: {error.strerror}; check the path and this user's rights")
    print(f"{path}: signed" if check else signature_of(path))
    return 0
