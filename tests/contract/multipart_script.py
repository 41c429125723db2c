"""What a user's script does with a large file; run by MLflow's real clients."""

import hashlib
import os
import sys
import tempfile
from pathlib import Path

import mlflow


def main(url, size):
    mlflow.set_tracking_uri(url)
    client = mlflow.MlflowClient()
    run = client.create_run("0").info.run_id
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "large ü.bin"
        with file.open("wb") as out:
            for _ in range(size >> 20):
                out.write(os.urandom(1 << 20))
            out.write(b"the end")
        client.log_artifact(run, str(file), "weights")
        target = Path(folder) / "down"
        target.mkdir()
        found = client.download_artifacts(run, "weights/large ü.bin", str(target))
        for path in (file, Path(found)):
            with path.open("rb") as data:
                print(hashlib.file_digest(data, "sha256").hexdigest())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
