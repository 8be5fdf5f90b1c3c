"""Lets `python -m envcap` do what the `envcap` command does."""

from envcap.start import main

if __name__ == "__main__":
    main()
