"""The OpenAPI description, tried against the server by schemathesis, with all of its checks.

    python experiments/service/contract.py --run RUN

Once without a token and once with one. Exits with 1 if anything was found.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from servers import serve

# A body with a text that is too long may be too large as well, which schemathesis does not count as
# refused.
_SETTINGS = """
[checks]
negative_data_rejection.expected-statuses = [400, 401, 404, 405, 413, 415, 422]
"""


def tried(run: str, token: str | None, examples: int) -> int:
    """The exit code of schemathesis."""
    environment = {} if token is None else {"KERASBERT_TOKEN": token}
    with serve(run, environment=environment) as server, tempfile.TemporaryDirectory() as place:
        url = f"http://127.0.0.1:{server.port}/openapi.json"
        command = [str(Path(sys.executable).with_name("schemathesis")), "run", url]
        command += ["--checks", "all", "--continue-on-failure", "--seed", "0", "-n", str(examples)]
        if token is not None:
            command += ["--header", f"Authorization: Bearer {token}"]
        Path(place, "schemathesis.toml").write_text(_SETTINGS, encoding="utf-8")
        done = subprocess.run(command, cwd=place, capture_output=True, text=True)
        log = server.log.read_text()
    title = "without a token" if token is None else "with a token"
    print(f"\n## {title}\n{done.stdout}{done.stderr}{log.count('Traceback')} tracebacks in its log")
    return done.returncode or "Traceback" in log


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", required=True)
    parser.add_argument("--examples", type=int, default=100, help="for each path")
    args = parser.parse_args()
    codes = [tried(args.run, token, args.examples) for token in (None, "secret")]
    sys.exit(any(codes))


if __name__ == "__main__":
    main()
