"""``python -m shapeshifter_uftp``: see `shapeshifter_uftp.cli`."""

from shapeshifter_uftp.cli import main

if __name__ == "__main__":
    main()
