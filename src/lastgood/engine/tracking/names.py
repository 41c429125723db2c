"""Random names for runs and models that were given none."""

import secrets

__all__ = ["random_name"]

NUMBER_MAX = 999

_ADJECTIVES = ["able", "amber", "ample", "azure", "bold", "brave", "brisk", "bright", "calm", "candid", "clean", "clever", "crisp", "deft", "eager", "early", "even", "fair", "fast", "fine", "firm", "fleet", "fond", "fresh", "gentle", "glad", "golden", "grand", "great", "hardy", "honest", "humble", "jolly", "just", "keen", "kind", "late", "lean", "light", "lively", "loyal", "lucid", "lucky", "mellow", "merry", "mild", "modest", "neat", "nimble", "noble", "placid", "plain", "polite", "proud", "quick", "quiet", "rapid", "rare", "ready", "rich", "robust", "rosy", "round", "sage", "secure", "serene", "sharp", "silent", "silver", "sleek", "smart", "smooth", "snug", "sober", "solid", "spry", "stable", "steady", "stout", "strong", "subtle", "sunny", "sure", "swift", "tall", "tender", "thrifty", "tidy", "trim", "true", "upbeat", "vast", "vivid", "warm", "wise", "witty", "zesty"]
_NOUNS = ["acorn", "alder", "ash", "aspen", "badger", "basin", "bay", "beech", "birch", "bison", "bluff", "brook", "canyon", "carp", "cedar", "cliff", "clover", "coast", "comet", "condor", "coral", "cove", "crane", "creek", "crow", "dale", "deer", "delta", "dove", "dune", "eagle", "elk", "elm", "falcon", "fern", "finch", "fjord", "forest", "fox", "gale", "gannet", "glade", "grouse", "gull", "harbor", "hare", "hawk", "hazel", "heron", "hill", "ibis", "island", "jay", "kite", "lagoon", "lake", "larch", "lark", "lynx", "maple", "marsh", "marten", "meadow", "mesa", "moor", "moose", "moth", "oak", "ocean", "orca", "osprey", "otter", "owl", "peak", "pike", "pine", "plover", "pond", "quail", "rain", "raven", "reef", "ridge", "river", "robin", "rook", "rowan", "salmon", "seal", "shore", "shrew", "skua", "snipe", "spruce", "stork", "stream", "swan", "tern", "thrush", "trout", "vale", "wren"]


def random_name() -> str:
    """An adjective, a noun and a number, such as ``steady-heron-412``."""
    return f"{secrets.choice(_ADJECTIVES)}-{secrets.choice(_NOUNS)}-{secrets.randbelow(NUMBER_MAX) + 1}"
