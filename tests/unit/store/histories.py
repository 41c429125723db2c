"""Random but valid histories of changes, drawn from a seed."""

import random
from dataclasses import dataclass, field

from lastgood.core import changes as c
from lastgood.core.ids import REGISTRY, Digest
from lastgood.core.stages import Stage
from lastgood.core.verdicts import Verdict

REFS = ("production", "staging", "champion")


@dataclass
class History:
    """What exists so far, so that the next act can be drawn."""

    random: random.Random
    versions: dict = field(default_factory=dict)  # model -> {number: Stage}
    numbering: dict = field(default_factory=dict)  # model -> highest number ever
    refs: dict = field(default_factory=dict)  # (model, ref) -> number
    holds: set = field(default_factory=set)  # (model, ref, number)

    def draw(self):
        """The model and the changes of one more act."""
        if self.random.random() < 0.08:
            paused = c.EnvironmentPaused(
                environment=self.random.choice(REFS), before=False, after=self.random.random() < 0.8
            )
            return REGISTRY, (paused,)
        if self.random.random() < 0.03:
            verdict = Verdict(gate="right to change the policy", outcome="fail", message="no")
            return REGISTRY, (c.PolicyRefused(before=None, offered=None, verdict=verdict),)
        if self.random.random() < 0.05:
            text = f"# {self.random.random()}"
            return REGISTRY, (
                c.PolicySet(before=None, after=Digest("sha256:" + "a" * 64), text=text),
            )
        model = self.random.choice(("churn", "fraud", "Größe ∆"))
        if model not in self.versions:
            self.versions[model] = {}
            return model, (c.ModelCreated(model=model, description="made", tags={"team": "x"}),)
        verbs = [self._register] * 2
        if self.versions[model]:
            verbs += [self._promote] * 4 + [
                self._tag,
                self._mark,
                self._describe,
                self._approve,
                self._judge,
                self._delete,
            ]
            verbs += [self._find_out]
        verbs += [self._drop] if self.random.random() < 0.1 else []
        verbs += [self._rename] if self.random.random() < 0.1 else []
        return model, tuple(self.random.choice(verbs)(model))

    def _approve(self, model):
        word = self.random.choice(("approve", "reject"))
        return [
            c.ApprovalGiven(
                model=model,
                version=self._number(model),
                environment="production",
                digest=Digest("sha256:" + "b" * 64),
                word=word,
                meaning="approved",
            )
        ]

    def _judge(self, model):
        return [
            c.VerdictsRecorded(
                model=model,
                version=self._number(model),
                environment=self.random.choice(REFS),
                digest=None,
                policy=None,
                allowed=self.random.random() < 0.5,
            )
        ]

    def _number(self, model):
        return self.random.choice(sorted(self.versions[model]))

    def _register(self, model):
        number = self.numbering[model] = self.numbering.get(model, 0) + 1
        self.versions[model][number] = Stage.NONE
        digest = Digest("sha256:" + f"{self.random.getrandbits(256):064x}")
        tags = {"k": "v"} if self.random.random() < 0.5 else {}
        made_of = {"commit": f"c0ffee{number % 3}", "data": (f"md5:{number % 5}", "md5:x")}
        return [
            c.VersionRegistered(
                model=model, version=number, digest=digest, tags=tags, size=7, **made_of
            )
        ]

    def _promote(self, model):
        number, ref = self._number(model), self.random.choice(REFS)
        before = self.refs.get((model, ref))
        found = [c.RefMoved(model=model, ref=ref, before=before, after=number)]
        old = self.versions[model][number]
        stage = self.random.choice(list(Stage))
        if old is not stage:
            found.append(c.StageChanged(model=model, version=number, before=old, after=stage))
        self.refs[model, ref], self.versions[model][number] = number, stage
        if before is not None and (model, ref, before) not in self.holds and before != number:
            self.holds.add((model, ref, before))
            data = ("d1", "d2") if self.random.random() < 0.5 else ()
            found.append(
                c.HoldPlaced(model=model, version=before, environment=ref, owner="o", data=data)
            )
        if (model, ref, number) in self.holds:
            self.holds.discard((model, ref, number))
            found.append(c.HoldReleased(model=model, version=number, environment=ref))
        return found

    def _tag(self, model):
        version = self.random.choice((None, self._number(model)))
        after = self.random.choice((None, "a", "b"))
        return [c.TagSet(model=model, key="k", before=None, after=after, version=version)]

    def _mark(self, model):
        after = self.random.choice(("good", "bad", "yanked", "none"))
        number = self._number(model)
        return [
            c.MarkSet(
                model=model, version=number, environment="production", before="none", after=after
            )
        ]

    def _find_out(self, model):
        return [
            c.EvidenceRecorded(
                model=model,
                version=self._number(model),
                name=self.random.choice(("load_test", "reproduced")),
                outcome=self.random.choice(("pass", "fail", "unknown")),
                figures={"seconds": 0.25, "n": "NaN"},
            )
        ]

    def _describe(self, model):
        version = self.random.choice((None, self._number(model)))
        return [c.DescriptionSet(model=model, before="", after="words", version=version)]

    def _delete(self, model):
        number = self._number(model)
        del self.versions[model][number]
        self.holds = {hold for hold in self.holds if hold[::2] != (model, number)}
        return [c.VersionDeleted(model=model, version=number)]

    def _drop(self, model):
        self._forget(model)
        return [c.ModelDeleted(model=model)]

    def _rename(self, model):
        after = f"renamed-{self.random.getrandbits(64):x}"
        self._forget(model)  # it lives on under a name that no later act draws
        return [c.ModelRenamed(model=model, after=after)]

    def _forget(self, model):
        del self.versions[model]
        self.refs = {key: value for key, value in self.refs.items() if key[0] != model}
        self.holds = {hold for hold in self.holds if hold[0] != model}
