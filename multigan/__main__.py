"""`python -m multigan` and `accelerate launch -m multigan` are `multigan`."""

from multigan.cli import main

if __name__ == "__main__":
    main()
