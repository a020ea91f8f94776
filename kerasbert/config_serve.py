"""How a service takes requests, as a frozen dataclass."""

import dataclasses
import re
from typing import Annotated

from kerasbert.config import RUNNING_PRECISIONS
from kerasbert.config_checks import check, check_choice, one_of
from kerasbert.errors import InputError

# What a header can carry after "Bearer " (RFC 6750).
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


@dataclasses.dataclass(frozen=True)
class ServiceConfig:
    """What a service takes, how long it may take, and who may ask."""

    # Texts that are computed together, of however many requests.
    max_batch: int = 64

    # Milliseconds that a request waits for others to be computed with, unless its client is alone.
    # At 0 those go together that come while others are computed, which was as fast as 2.
    max_wait: float = 0.0

    # Texts that may wait. What comes when they do is refused with 503 at once.
    max_queue: int = 1024

    # Seconds from a request's headers to its answer, after which it is refused with 504, or with
    # 408 if it is not there yet.
    timeout: float = 30.0

    # Texts in a request.
    max_texts: int = 256

    # Characters in a text.
    max_characters: int = 20_000

    # Bytes of a request.
    max_body: int = 4 * 2**20

    # Texts in a request that asks why; each takes as long as about a hundred predictions. 0: none
    # may ask.
    max_explained: int = 8

    # What a client must send as `Authorization: Bearer TOKEN`; allows POST /reload.
    token: str | None = dataclasses.field(default=None, repr=False)

    # Seconds between looks at whether the run's directory, or link, is another; 0 never looks.
    watch: float = 2.0

    # Number format of the products. auto: bfloat16 where the processor has it, else float32.
    precision: Annotated[str, one_of(*RUNNING_PRECISIONS)] = "auto"

    # Write a line for each request: path, status, milliseconds, texts.
    log_requests: bool = False

    # Write the texts of each request as well.
    log_texts: bool = False

    def __post_init__(self):
        for name in ("max_batch", "max_queue", "max_texts", "max_characters"):
            check(self, name, _is_integer(getattr(self, name), 1), "be an integer, at least 1")
        is_number = _is_integer(self.max_explained, 0)
        check(self, "max_explained", is_number, "be an integer, at least 0")
        check(self, "max_body", _is_integer(self.max_body, 64), "be an integer, at least 64")
        check(self, "max_wait", 0 <= self.max_wait <= 1000, "be 0 to 1,000 milliseconds")
        check(self, "timeout", 0 < self.timeout <= 3600, "be above 0 and at most 3,600 seconds")
        check(self, "watch", 0 <= self.watch <= 3600, "be 0 to 3,600 seconds")
        room = f"be at least max_texts={self.max_texts}, so that the largest request has room"
        check(self, "max_queue", self.max_queue >= self.max_texts, room)
        check_choice(self, "precision", RUNNING_PRECISIONS)
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            # Not by `check`, which would print it.
            raise InputError(
                "`token` must be letters, digits and ._~+/- alone, and = at its end, as a header "
                f"carries it. Received: {len(self.token)} characters, some of them others."
            )


def _is_integer(value: object, least: int) -> bool:
    return isinstance(value, int) and value >= least
