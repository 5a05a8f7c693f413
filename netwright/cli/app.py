"""Gathering the commands, and turning every error into one line and a status."""

from __future__ import annotations

import errno
import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence

import typer

import netwright
from netwright.errors import EXTRAS, MissingExtra, UserError

app = typer.Typer(
    name="netwright",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Takes a task and a device and gives back a neural network that provably runs there.",
)


def _version(show: bool) -> None:
    if show:
        print(f"netwright {netwright.__version__}")
        raise typer.Exit()


@app.callback(
    epilog="First steps: [bold]netwright fit digits --device cortex-m4 --ram 4KB --flash 32KB --latency 20ms[/bold]"
)
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    pass


def _register() -> None:
    """Every module of this package that has a `command` is one, called like its file."""
    import netwright.cli as package

    for info in pkgutil.iter_modules(package.__path__):
        if info.name.startswith("_") or info.name in ("app", "options", "printing"):
            continue
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        app.command(info.name.replace("_", "-"), epilog=getattr(module, "EXAMPLES", None))(module.command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    _register()
    sys.exit(_run(list(sys.argv[1:] if arguments is None else arguments)))


def _run(arguments: list[str]) -> int:
    try:
        code = app(args=arguments, prog_name="netwright", standalone_mode=False)
        return int(code) if isinstance(code, int) else 0
    except typer.Exit as stop:
        return int(stop.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted; what was finished is kept, `--resume` goes on", 130)
    except UserError as error:
        return _fail(str(error), 2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _fail("the disk is full; free some room, `--resume` goes on", 2)
        where = f" {error.filename}" if error.filename else ""
        return _fail(f"{error.strerror or error}{where}", 2)
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        return _fail(str(MissingExtra(error.name, EXTRAS[error.name])), 2)
    except MemoryError:
        return _fail("out of memory; use fewer samples or a smaller --batch", 2)
    except Exception as error:
        if hasattr(error, "format_message"):  # usage errors of the command line parser
            return _fail(f"{error.format_message()}; see `netwright --help`", 2)
        raise


def _fail(message: str, status: int) -> int:
    print(f"netwright: {' '.join(message.split())}", file=sys.stderr)
    return status
