"""`python -m dragoman_client`: the `dragoman` command."""

from dragoman_client.cli import main

if __name__ == "__main__":
    main()
