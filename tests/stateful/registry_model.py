"""What a registry must do, said a second time and as simply as possible, in dictionaries."""

from dataclasses import dataclass, field

STAGE_OF = {"production": "Production", "staging": "Staging"}
REQUESTS_MIN, SECONDS_MIN, FAILURE_SHARE_MAX = 100, 60, 0.01


@dataclass
class Stay:
    """One stay of a version in an environment."""

    version: int
    from_ms: int
    loaded: bool = False
    requests: int = 0
    failures: int = 0
    first_ms: int | None = None
    last_ms: int | None = None


@dataclass
class Model:
    """The state after some acts; `operations` counts those that changed anything."""

    contents: list = field(default_factory=list)  # of version 1, 2, …
    stage: dict = field(default_factory=dict)
    ref: dict = field(default_factory=dict)
    holds: set = field(default_factory=set)  # (environment, version)
    marks: dict = field(default_factory=dict)  # (environment, version) -> value
    stays: dict = field(default_factory=dict)  # environment -> [Stay]
    operations: int = 0
    log_ms: int = 0  # time of the newest operation
    gateway_seen_ms: int = -1

    def _act(self, now):
        self.operations += 1
        self.log_ms = max(self.log_ms, now)

    def register(self, content, now):
        """The version's number, and whether it was there already."""
        if content in self.contents:
            return self.contents.index(content) + 1, True
        self.contents.append(content)
        self.stage[len(self.contents)] = "None"
        self._act(now)
        return len(self.contents), False

    def promote(self, version, environment, now, *, release):
        """`Held`, `Yanked`, or whether anything changed."""
        held = (environment, version) in self.holds
        if held and not release:
            return "Held"
        if self.yanked(environment, version):
            return "Yanked"
        self.holds.discard((environment, version))
        if held | self._point(environment, version):
            self._arrive(environment, version, now)
            return True
        return False

    def yanked(self, environment, version):
        return "yanked" in {self.marks.get((e, version)) for e in (environment, "*")}

    def rollback(self, environment, to, now):
        """`NothingGood`, or whether anything changed."""
        target = self.last_good(environment) if to is None else to
        if target is None:
            return "NothingGood"
        removed = self.ref.get(environment)
        changed = self._point(environment, target) | ((environment, target) in self.holds)
        self.holds.discard((environment, target))
        if removed not in {None, target}:
            self.holds.add((environment, removed))
        if changed:
            self._arrive(environment, target, now)
        return changed

    def leave_empty(self, environment, now):
        """Whether anything changed."""
        changed = self._relabel(environment, None) | (self.ref.get(environment) is not None)
        if changed:
            self._act(now)
        if environment in self.ref:
            self.ref[environment] = None
        return changed

    def mark(self, version, environment, value, now):
        """Whether anything changed."""
        before = self.marks.get((environment, version), "none")
        if before == value:
            return False
        self.marks[environment, version] = value
        self._act(now)
        return True

    def _point(self, environment, version):
        changed = self._relabel(environment, version)
        if self.ref.get(environment) != version:
            self.ref[environment] = version
            self.stays.setdefault(environment, []).append(Stay(version, -1))
            changed = True
        return changed

    def _arrive(self, environment, version, now):
        self._act(now)
        newest = self.stays[environment][-1]
        if newest.from_ms < 0:
            newest.from_ms = self.log_ms

    def _relabel(self, environment, version):
        label = STAGE_OF.get(environment)
        before = dict(self.stage)
        for other, stage in before.items():
            if label and stage == label and other != version:
                self.stage[other] = "Archived"
        if label and version is not None:
            self.stage[version] = label
        return before != self.stage

    def serve(self, environment, now, *, requests, failures, seconds):
        stay = self.stays[environment][-1]
        self.gateway_seen_ms = now
        stay.loaded = True
        if requests:
            stay.requests += requests
            stay.failures += failures
            stay.first_ms = now if stay.first_ms is None else min(now, stay.first_ms)
            stay.last_ms = max(now + seconds * 1000, stay.last_ms or 0)

    def last_good(self, environment):
        """The version to return to, or None."""
        stays, current = self.stays.get(environment, []), self.ref.get(environment)

        def allowed(version):
            judged = self.marks.get((environment, version))
            held = (environment, version) in self.holds
            return version != current and not held and judged not in {"bad", "yanked"}

        for index in range(len(stays) - 1, -1, -1):
            stay, before = stays[index], stays[index - 1] if index else None
            by_person = self.marks.get((environment, stay.version)) == "good"
            if allowed(stay.version) and (by_person or self._earned(stay, before)):
                return stay.version
        lived = {stay.version for stay in stays}
        marked = [v for (e, v), m in self.marks.items() if e == environment and m == "good"]
        return max((v for v in marked if v not in lived and allowed(v)), default=None)

    def _earned(self, stay, before):
        if not stay.loaded or self.gateway_seen_ms < stay.from_ms or stay.requests < REQUESTS_MIN:
            return False
        limit = FAILURE_SHARE_MAX
        if before is not None and before.requests >= REQUESTS_MIN:
            limit = before.failures / before.requests
        long_enough = stay.last_ms - stay.first_ms >= SECONDS_MIN * 1000
        return long_enough and stay.failures / stay.requests <= limit
