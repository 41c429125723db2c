"""What every act means, said a second time in dictionaries, with a snapshot after each: the oracle of random histories.

It builds on `registry_model.Model` and shares no code with lastgood.
"""

from copy import deepcopy
from dataclasses import dataclass, field

from registry_model import REQUESTS_MIN, Model

PROTECTED = "production"


@dataclass
class Moment:
    """The state after one operation."""

    operation: str
    at_ms: int
    refs: dict
    things: dict
    caller: str = ""
    moved: bool = False
    takes_back: str = ""


@dataclass
class Oracle(Model):
    """A registry's model with one model in it, and its history."""

    deleted: set = field(default_factory=set)
    followed: set = field(default_factory=set)
    moments: list = field(default_factory=list)

    def things(self):
        """Everything that an operation can change and a revert can put back."""
        return {
            **{("ref", e): v for e, v in self.ref.items() if v is not None},
            **{("stage", v): s for v, s in self.stage.items()},
            **{("hold", *key): True for key in self.holds},
            **{("mark", *key): value for key, value in self.marks.items() if value != "none"},
        }

    def note(self, operation, at_ms, **more):
        before = self.moments[-1].things if self.moments else {}
        things = self.things()
        refs = {k for k in before.keys() | things.keys() if k[0] == "ref"}
        moved = any(before.get(k) != things.get(k) for k in refs)
        self.moments.append(
            Moment(operation, at_ms, dict(self.ref), deepcopy(things), moved=moved, **more)
        )

    def alive(self):
        return [n for n in range(1, len(self.contents) + 1) if n not in self.deleted]

    def delete(self, version, now):
        """`Protected`, or whether anything changed."""
        if self.protected(version):
            return "Protected"
        for environment in [e for e, v in self.ref.items() if v == version]:
            self.ref[environment] = None
        self.deleted.add(version)
        del self.stage[version]
        self.holds = {(e, v) for e, v in self.holds if v != version}
        self.marks = {(e, v): m for (e, v), m in self.marks.items() if v != version}
        self._act(now)
        return True

    def protected(self, version):
        """What must not be deleted: live or last good where servers are, or held anywhere."""
        places = {PROTECTED} | self.followed
        return (
            any(self.ref.get(place) == version for place in places)
            or any(v == version for _, v in self.holds)
            or any(self.last_good(place) == version for place in places)
        )

    def restore(self, wanted, now):
        """`Refused`, or whether anything changed."""
        names = sorted(self.ref.keys() | wanted.keys())
        moves = [(e, wanted.get(e)) for e in names if wanted.get(e) != self.ref.get(e)]
        for environment, version in moves:
            if version is not None and self._forbidden(environment, version):
                return "Refused"
        for environment, version in moves:
            if version is None:
                self._relabel(environment, None)
                self.ref[environment] = None
            else:
                self._point(environment, version)
        return self._arrived([e for e, v in moves if v is not None], bool(moves), now)

    def revert(self, index, now):
        """`Refused`, or True: everything that the operation changed is as before it."""
        after = self.moments[index].things
        before = self.moments[index - 1].things if index else {}
        # Registrations, deletions and what they took along cannot be put back.
        if any(k[0] == "stage" and (k in before) != (k in after) for k in before | after):
            return "Refused"
        changed = [k for k in before.keys() | after.keys() if before.get(k) != after.get(k)]
        now_things = self.things()
        if any(now_things.get(k) != after.get(k) for k in changed):
            return "Refused"
        if any(k[0] in {"hold", "mark"} and k[-1] in self.deleted for k in changed):
            return "Refused"  # nobody marks or holds what is gone
        freed = {k[1:] for k in changed if k[0] == "hold" and k not in before}
        moves = [k[1] for k in changed if k[0] == "ref" and k in before]
        for environment in moves:
            version = before["ref", environment]
            if version in self.deleted or self.yanked(environment, version):
                return "Refused"
            if (environment, version) in self.holds - freed:
                return "Refused"
        for key in changed:
            self._put_back(key, before.get(key))
        for environment in moves:
            self._stay(environment, before["ref", environment])
        return self._arrived(moves, True, now)

    def _put_back(self, key, value):
        kind, *rest = key
        if kind == "ref":
            self.ref[rest[0]] = value
        elif kind == "stage":
            self.stage[rest[0]] = value
        elif kind == "hold":
            (self.holds.add if value else self.holds.discard)(tuple(rest))
        else:
            self.marks[tuple(rest)] = value or "none"

    def _stay(self, environment, version):
        self.stays.setdefault(environment, []).append(type(self).new_stay(version))

    @staticmethod
    def new_stay(version):
        from registry_model import Stay

        return Stay(version, -1)

    def _arrived(self, environments, changed, now):
        if changed:
            self._act(now)
        for environment in environments:
            self.stays[environment][-1].from_ms = self.log_ms
        return changed

    def _forbidden(self, environment, version):
        held = (environment, version) in self.holds
        return held or version in self.deleted or self.yanked(environment, version)

    def to_undo(self, caller):
        """The index of the caller's last act that moved a ref and was not taken back."""
        gone = set()
        for index in range(len(self.moments) - 1, -1, -1):
            moment = self.moments[index]
            if moment.caller != caller or moment.operation in gone:
                continue
            if moment.takes_back:
                gone.add(moment.takes_back)
            elif moment.moved:
                return index
        return None

    def last_good(self, environment):
        """The version to return to, or None."""
        stays, current = self.stays.get(environment, []), self.ref.get(environment)

        def judged(version):
            return (
                "yanked"
                if self.yanked(environment, version)
                else self.marks.get((environment, version))
            )

        def allowed(version):
            held = (environment, version) in self.holds
            usable = version != current and version not in self.deleted and not held
            return usable and judged(version) not in {"bad", "yanked"}

        for index in range(len(stays) - 1, -1, -1):
            stay, before = stays[index], stays[index - 1] if index else None
            if allowed(stay.version) and (
                judged(stay.version) == "good" or self._earned(stay, before)
            ):
                return stay.version
        lived = {stay.version for stay in stays}
        marked = [v for (e, v), m in self.marks.items() if e == environment and m == "good"]
        return max((v for v in marked if v not in lived and allowed(v)), default=None)

    def serve(self, environment, now, **counts):
        assert counts["requests"] == 0 or counts["requests"] >= REQUESTS_MIN // 10
        self.followed.add(environment)
        super().serve(environment, now, **counts)

    def refs_at(self, instant):
        """Where each ref pointed at an instant."""
        found = {}
        for moment in self.moments:
            if moment.at_ms <= instant:
                found = moment.refs
        return {e: v for e, v in found.items() if v is not None}
