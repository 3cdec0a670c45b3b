"""python -m tools COMMAND: `setup` works on a bare Python, the others need the packages that it installs."""

import sys


def main() -> None:
    from . import bootstrap

    if sys.argv[1:2] == ["setup"] and "--help" not in sys.argv:
        bootstrap.enter(sys.argv[1:])
    try:
        from .commands import tools
    except ModuleNotFoundError as error:
        sys.exit(f"error: {error.name} is not installed in this Python.\n  Run: {bootstrap.SETUP}")
    tools(prog_name="python -m tools")


if __name__ == "__main__":
    main()
