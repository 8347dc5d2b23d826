"""One institution of the demonstration as a process of its own: ``python -m tongzhou.demo.institution HOME``.

It serves until its standard input closes, so it never outlives the demonstration, however that ends.
"""

import logging
import sys
import threading
from pathlib import Path

from tongzhou.node.daemon import Daemon

__all__ = ["main"]


def main() -> None:
    """Serve one folder until the parent goes."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    daemon = Daemon(Path(sys.argv[1]))
    threading.Thread(target=_wait_for_parent, args=(daemon,), daemon=True).start()
    sys.stdout.write(daemon.endpoint + "\n")
    sys.stdout.flush()
    daemon.serve()


def _wait_for_parent(daemon: Daemon) -> None:
    sys.stdin.buffer.read()
    daemon.stop()


if __name__ == "__main__":
    main()
