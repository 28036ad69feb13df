"""``python -m dsanet_cli``: the command line, where the script ``dsanet`` is not on the path."""

from dsanet_cli.cli.app import main

if __name__ == "__main__":
    main()
