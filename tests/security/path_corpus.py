"""More than a thousand ways to write a path that leads out of where it should stay."""

import itertools
import re
from urllib.parse import quote, unquote

STEPS = (
    "..",
    "%2e%2e",
    "%2E.",
    "%252e%252e",
    "%25252e%25252e",
    "..;",
    "..%00",
    "..%0a",
    "..%5c..",
    "%c0%ae%c0%ae",  # overlong UTF-8
    "%e0%80%ae%e0%80%ae",
    "\uff0e\uff0e",  # dots that normalising makes plain
    "\u2025",
    "%ef%bc%8e%ef%bc%8e",
    "....",
    "%uff0e%uff0e",
)
SLASHES = (
    "/",
    "%2f",
    "%252f",
    "%25252F",
    "\\",
    "%5c",
    "%255c",
    "//",
    "/./",
    "\uff0f",
    "\u2215",
    "%c0%af",
)
DEPTHS = (1, 2, 6)
WRAPPINGS = ("{}", "file://{}", "file://localhost{}", "file:{}", "//{}", "/{}", "C:{}", "\\\\{}")
WRAPPINGS += ("http://127.0.0.1:1{}", "s3://bucket{}", "dbfs:{}", "mlflow-artifacts:{}", "runs:{}")
WRAPPINGS += ("models:{}", "x:{}", ":{}", "a/../..{}", "a#..{}", "a?..{}", "a;..{}", "#{}", "?{}")
ODD = (
    "",
    ".",
    "..",
    "/",
    "//",
    "\\",
    "%",
    "%2",
    "%00",
    "%ff",
    "%0d%0aX-Injected:%20yes",
    "a%00.txt",
    "a/./b",
    "a//b",
    "a/",
    "~",
    "~/x",
    "~root/x",
    "$HOME/x",
    "${HOME}",
    "%HOME%",
    "C:",
    "c:x",
    "C:/x",
    "C:\\x",
    "C|/x",
    "\\\\?\\C:\\x",
    "\\\\host\\share\\x",
    "CON",
    "NUL.txt",
    "a:b",
    "a::$DATA",
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "/proc/self/root/etc/passwd",
    "/proc/self/environ",
    "/dev/zero",
    "sha256",
    "sha256/",
    "sha256/" + "0" * 64,
    "sha256/" + "0" * 64 + "/MLmodel",
    "sha256/" + "0" * 64 + "/../x",
    "lastgood.db",
    "../lastgood.db",
    "objects/sha256",
    "config.toml",
    "x" * 3000,
    "x/" * 1500,
    "../" * 1000,
    "%25" * 200 + "2e",
    "\u202e/x",
    "a\u2028b",
    "{{7*7}}",
    "<script>alert(1)</script>",
    "' OR 1=1 --",
    "; rm -rf x",
    "`id`",
    "$(id)",
    "|id",
)


def corpus(secret):
    """The variants, each once.

    Args:
        secret: The absolute path of a file that must not be reached, two folders above a root in its neighbourhood.
    """
    tail = f"{secret.parent.name}/{secret.name}"
    climbs = (
        prefix + slash.join([step] * depth + tail.split("/"))
        for prefix in ("", "0/run/artifacts/", f"sha256/{'0' * 64}/")
        for step, slash, depth in itertools.product(STEPS, SLASHES, DEPTHS)
    )
    absolute = str(secret)
    wrapped = (
        wrapping.format(form)
        for wrapping in WRAPPINGS
        for form in (
            absolute,
            quote(absolute, safe=""),
            quote(quote(absolute, safe=""), safe=""),
            absolute.replace("/", "\\"),
            "/" + "../" * 8 + absolute.lstrip("/"),
        )
    )
    return sorted({*climbs, *wrapped, *ODD})


def reached_by_a_naive_join(root, path):
    """Whether a server that decodes and joins, as MLflow's did, would open the secret; it is handed back then."""
    for _ in range(4):
        plain = path.replace("\\", "/").replace("\uff0e", ".").replace("\uff0f", "/")
        for candidate in (plain, re.sub(r"^[A-Za-z]*:/{0,2}(?:localhost)?", "", plain)):
            try:
                if (root / candidate).is_file():  # and no device without an end
                    return (root / candidate).read_text(encoding="ascii")
            except (OSError, ValueError):
                continue
        path = unquote(path)
    return ""
