"""The worker process: loads one model version and answers for it.

Runs as a script in the interpreter of the model's environment, so it imports the standard library
and, once started, what mlflow brings; never lastgood. The gateway imports only the constants.

It talks over socket pairs that it inherits: one for control, the others ("lanes") for predictions.
Each lane is served by its own thread, one request at a time: no hop between threads inside the
worker, and a request that hangs takes one lane, not the worker. mlflow's own server calls models
from a pool of threads as well, so a model that it can serve bears this.

A frame is a header (two 32-bit lengths), a head (JSON) and a body (bytes).
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import io
import json
import os
import platform
import signal
import socket
import struct
import sys
import sysconfig
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["BODY_BYTES_MAX", "HEADER", "HEAD_BYTES_MAX", "main"]

HEADER = struct.Struct("!II")
HEAD_BYTES_MAX = 1024 * 1024
BODY_BYTES_MAX = 256 * 1024 * 1024
MESSAGE_LENGTH_MAX = 2000
REASON_LENGTH_MAX = 1500
TURN_WAIT_S = 0.05
MODULES_MAX = 5000
PR_SET_PDEATHSIG = 1
STAND_INS = {"mlflow": "mlflow-skinny"}
"""A model that was saved with mlflow says so; mlflow-skinny of that version loads it as well."""


def read_frame(stream: Any) -> tuple[dict[str, Any], bytes] | None:
    """The next frame; None when the other side closed the connection."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    head_length, body_length = HEADER.unpack(header)
    if head_length > HEAD_BYTES_MAX or body_length > BODY_BYTES_MAX:
        return None
    head = stream.read(head_length)
    body = stream.read(body_length)
    if len(head) < head_length or len(body) < body_length:
        return None
    return json.loads(head), body


def write_frame(connection: socket.socket, head: dict[str, Any], body: bytes = b"") -> None:
    """Send one frame."""
    encoded = json.dumps(head).encode()
    connection.sendall(HEADER.pack(len(encoded), len(body)) + encoded + body)


class Refusal(Exception):  # an answer, not a fault of the worker
    """An error answer in MLflow's form. `failed` says that the model is to blame, not the input."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        failed: bool = True,
        rows: int = 0,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        answer = {"error_code": code, "message": message[:MESSAGE_LENGTH_MAX]}
        answer.update({key: value for key, value in (extra or {}).items() if value is not None})
        self.head = {"status": status, "failed": failed, "rows": rows}
        self.body = json.dumps(answer).encode()


class Scorer:
    """The loaded model, spoken to in MLflow's scoring protocol."""

    def __init__(self, path: str) -> None:
        import mlflow.pyfunc
        from mlflow.exceptions import MlflowException
        from mlflow.pyfunc import scoring_server
        from mlflow.pyfunc.utils.serving_data_parser import is_unified_llm_input
        from mlflow.utils.proto_json_utils import NumpyEncoder, _get_jsonable_obj

        self._protocol = scoring_server
        self._parse_json: Any = scoring_server._parse_json_data  # noqa: SLF001  # the only door to it
        self._mlflow_exception = MlflowException
        self._is_unified = is_unified_llm_input
        self._encoder = NumpyEncoder
        self._jsonable = _get_jsonable_obj
        # Its own comparison of packages takes about a second; the gateway has made one already.
        self.model = mlflow.pyfunc.load_model(path, suppress_warnings=True)
        self._schema = self.model.metadata.get_input_schema()

    def answer(self, mime: str, body: bytes) -> tuple[dict[str, Any], bytes]:
        """Parse, predict, serialise. Never raises: each failure becomes an answer of its own."""
        try:
            data, params, bare = self._parse(mime, body)
            rows = count_rows(data)
            encoded = self._encode(self._predict(data, params, rows), bare=bare, rows=rows)
        except Refusal as refusal:
            return refusal.head, refusal.body
        return {"status": 200, "failed": False, "rows": rows}, encoded

    def warm_up(self, path: str) -> str:
        """Answer the input example of the model; says what was done.

        Raises:
            RuntimeError: the example is there and was not answered.
        """
        info = self.model.metadata.saved_input_example_info
        if not info:
            return "loaded; it has no input example to warm up with"
        started = time.perf_counter()
        serving_example = Path(path) / str(
            info.get("serving_input_path") or "serving_input_example.json"
        )
        if serving_example.is_file():
            head, body = self.answer("application/json", serving_example.read_bytes())
            if head["status"] != 200:
                raise RuntimeError(f"the input example was refused: {body.decode()}")
        else:
            self.model.predict(self.model.metadata.load_input_example(path))
        took_ms = (time.perf_counter() - started) * 1000
        return f"answered its input example in {took_ms:.1f} ms"

    def _parse(self, mime: str, body: bytes) -> tuple[Any, Any, bool]:
        """Input, parameters, and whether the answer goes without the word predictions."""
        try:
            if mime == "text/csv":
                return (
                    self._protocol.parse_csv_input(io.StringIO(body.decode()), self._schema),
                    None,
                    False,
                )
            decoded = json.loads(body)
            if not isinstance(decoded, dict):
                wanted = self._protocol.REQUIRED_INPUT_FORMAT
                raise TypeError(f"{wanted}. Received a {type(decoded).__name__}.")
            # Decoded above: given bytes, mlflow decodes them twice and echoes all of them in its message.
            parse: Any = self._protocol._parse_json_data  # noqa: SLF001  # the only door to it
            parsed = parse(decoded, self.model.metadata, self._schema)
            return parsed.data, parsed.params, parsed.is_unified_llm_input
        except self._mlflow_exception as error:
            raise self._refusal(error, failed=False, rows=0) from error
        except (
            Exception
        ) as error:  # deep nesting, bad UTF-8, ...: whatever it is, the input caused it
            raise Refusal(
                400, "BAD_REQUEST", f"Invalid input. {one_line(error)}", failed=False
            ) from error

    def _predict(self, data: Any, params: Any, rows: int) -> Any:
        try:
            return self.model.predict(data, params=params)
        except self._mlflow_exception as error:
            failed = not raised_by_validation(error)
            if failed:
                traceback.print_exc()
            raise self._refusal(error, failed=failed, rows=rows) from error
        except BaseException as error:  # the model's code may raise anything, even SystemExit
            traceback.print_exc()
            message = (
                "Encountered an unexpected error while evaluating the model. Verify that the serialized "
                f"input Dataframe is compatible with the model for inference. {one_line(error)}"
            )
            raise Refusal(400, "BAD_REQUEST", message, rows=rows) from error

    def _encode(self, predictions: Any, *, bare: bool, rows: int) -> bytes:
        try:
            jsonable = self._jsonable(predictions, pandas_orient="records")
            answer = jsonable if bare else {"predictions": jsonable}
            encoded = json.dumps(answer, cls=self._encoder).encode()
        except Exception as error:  # the model answered something that JSON cannot carry
            traceback.print_exc()
            message = f"The model's answer cannot be written as JSON. {one_line(error)}"
            raise Refusal(500, "INTERNAL_ERROR", message, rows=rows) from error
        if len(encoded) > BODY_BYTES_MAX:
            raise Refusal(
                500,
                "INTERNAL_ERROR",
                f"The model's answer exceeds {BODY_BYTES_MAX:,} bytes",
                rows=rows,
            )
        return encoded

    def _refusal(self, error: Any, *, failed: bool, rows: int) -> Refusal:
        # 2.x knows neither sqlstate nor error_class; stack_trace is left out on purpose.
        extra = {key: getattr(error, key, None) for key in ("sqlstate", "error_class")}
        status = error.get_http_status_code()
        return Refusal(
            status, error.error_code, error.message, failed=failed, rows=rows, extra=extra
        )


def raised_by_validation(error: BaseException) -> bool:
    """Whether mlflow's check of the input raised it, rather than the model."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_code.co_name == "_validate_prediction_input" for frame, _ in frames)


def one_line(error: BaseException) -> str:
    """The error in one line, without a stack trace."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:REASON_LENGTH_MAX]


def count_rows(data: Any) -> int:
    """How many rows a parsed input has, as well as one can tell."""
    if isinstance(data, dict):
        data = next(iter(data.values()), ())
    try:
        return 1 if isinstance(data, (str, bytes)) else len(data)
    except TypeError:
        return 1


def installed(names: list[str]) -> dict[str, str | None]:
    """The version of each package, None where neither it nor what may stand in for it is installed."""
    return {name: version_of(name) for name in names}


def version_of(name: str) -> str | None:
    """The installed version of one package."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return version_of(STAND_INS[name]) if name in STAND_INS else None


def library_modules(names: set[str]) -> list[str]:
    """Those of the modules that belong to installed libraries, not to the model's own code."""
    roots = tuple({sysconfig.get_path(kind) for kind in ("purelib", "platlib", "stdlib")})
    files = (
        (name, getattr(sys.modules.get(name), "__file__", None) or "") for name in sorted(names)
    )
    return [name for name, file in files if file.startswith(roots)][:MODULES_MAX]


def preload(names: list[str]) -> None:
    """Import what the served version needed, ahead of need; what cannot be imported shows at the load."""
    for name in names:
        with suppress(Exception):
            importlib.import_module(name)


def die_with(parent: int) -> None:
    """Make the kernel end this process when the gateway ends, however that happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the request reached the kernel
        os._exit(0)


def serve_lane(connection: socket.socket, scorer: Scorer, turn: threading.Lock) -> None:
    """Answer the requests of one lane, one after the other, until the gateway closes it.

    Quick predictions take turns: threads that fight for the interpreter lock answer a third fewer
    requests than one alone. Who waited long enough goes ahead: a slow prediction holds up nobody.
    """
    stream = connection.makefile("rb", buffering=64 * 1024)
    while (frame := read_frame(stream)) is not None:
        head, body = frame
        my_turn = turn.acquire(timeout=TURN_WAIT_S)
        try:
            answer = scorer.answer(head["mime"], body)
        finally:
            if my_turn:
                turn.release()
        write_frame(connection, *answer)


def load(order: dict[str, Any]) -> tuple[Scorer, dict[str, Any]]:
    """Load and warm up what the gateway ordered; the report says how it went."""
    started = time.perf_counter()
    before = set(sys.modules)
    scorer = Scorer(order["path"])
    load_ms = (time.perf_counter() - started) * 1000
    # Type-hinted models validate differently behind a server; mlflow's own server sets it at this point.
    os.environ["_MLFLOW_IS_IN_SERVING_ENVIRONMENT"] = "true"
    warm_up = scorer.warm_up(order["path"])
    return scorer, {
        "event": "loaded",
        "warm_up": warm_up,
        "load_ms": round(load_ms, 1),
        "packages": installed(order["packages"]),
        "modules": library_modules(set(sys.modules) - before),
    }


def start(control: socket.socket, stream: Any, lanes: list[socket.socket]) -> None:
    """Import mlflow, wait for the order, load, then serve the lanes until the gateway hangs up."""
    import mlflow.pyfunc
    import mlflow.pyfunc.scoring_server

    write_frame(
        control,
        {"event": "imported", "mlflow": mlflow.__version__, "python": platform.python_version()},
    )
    frame = read_frame(stream)
    if frame is not None and "preload" in frame[0]:
        preload(frame[0]["preload"])
        frame = read_frame(stream)
    if frame is None:
        return
    scorer, report = load(frame[0])
    turn = threading.Lock()
    for lane in lanes:
        threading.Thread(target=serve_lane, args=(lane, scorer, turn), daemon=True).start()
    write_frame(control, report)
    while read_frame(stream) is not None:
        pass


def main(arguments: list[str]) -> None:
    """Serve the gateway `arguments[0]` on the inherited sockets `arguments[1:]`; the first is control."""
    # The gateway decides when a worker ends; Ctrl-C in a terminal reaches the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    die_with(int(arguments[0]))
    # What the model prints belongs to the log; nothing of it may pass for an answer.
    os.dup2(2, 1)
    control, *lanes = [socket.socket(fileno=int(number)) for number in arguments[1:]]
    try:
        start(control, control.makefile("rb"), lanes)
    except BaseException as error:  # the edge: imports and model code may raise anything
        traceback.print_exc()
        with suppress(OSError):  # the gateway may be gone
            write_frame(control, {"event": "failed", "reason": one_line(error)})
    finally:
        sys.stderr.flush()
        os._exit(0)  # threads that a model left behind must not keep the process


if __name__ == "__main__":
    # Python put this file's directory first; a model's `import plan` must not find ours.
    if sys.path and Path(sys.path[0]).resolve() == Path(__file__).resolve().parent:
        del sys.path[0]
    main(sys.argv[1:])
