"""`python -m qrelu` is the command `qrelu`."""

from ._cli import main

if __name__ == "__main__":
    main()
