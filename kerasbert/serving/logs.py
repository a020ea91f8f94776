"""What a service says, on standard error."""

import logging

log = logging.getLogger("kerasbert.serving")


def log_to_stderr(name: str = "") -> None:
    """Write what is logged to standard error, a line each, with the time and who says it."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"%(asctime)s {name}%(message)s", "%Y-%m-%d %H:%M:%S"))
    for logger, level in ((log, logging.INFO), (logging.getLogger("uvicorn"), logging.ERROR)):
        logger.addHandler(handler)
        logger.setLevel(level)
