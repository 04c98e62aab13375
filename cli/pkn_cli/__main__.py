"""`python -m pkn_cli`."""

from pkn_cli.main import main

main()
