"""The jobs of a search: those of the trials in its folder, and one more trial whenever all others are taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ptrun.config.jobs import Search
from ptrun.config.sweep import SweepSettings
from ptrun.errors import ConfigError
from ptrun.sweeps.history import Trial, read_trials
from ptrun.sweeps.plan import Job, known_folders, place_jobs, propose_job
from ptrun.sweeps.search import lies_in, propose

_ATTEMPTS = 30  # to find a configuration that was not tried, before the search is over


@dataclass
class Trials:
    """Makes the jobs of a search. Its methods are called while the plan's lock is held."""

    folder: Path
    settings: SweepSettings
    search: Search
    seen: set[int] = field(default_factory=set)

    def more(self) -> Sequence[Job]:
        """The jobs of trials that other processes have added, else those of a new trial; none when there are enough."""
        trials = read_trials(self.folder, self.settings.objectives or ())
        others = [job for trial in trials if trial.number not in self.seen for job in self._jobs_of(trial)]
        if others or len(trials) >= (self.settings.trials or 0):
            return others
        return self._new(trials)

    def _jobs_of(self, trial: Trial) -> list[Job]:
        """The jobs of an earlier trial, with repetitions that it had not; none of one with other settings."""
        self.seen.add(trial.number)
        if not lies_in(trial, self.search.space):
            return []
        try:
            jobs = place_jobs(self.search.jobs(trial.point), self.folder)
        except ConfigError:
            return []
        if not trial.ids & {job.config.identity for job in jobs}:  # its YAML files were others
            return []
        for job in jobs:
            propose_job(job, trial.number, trial.point, trial.generation)
        return jobs

    def _new(self, trials: Sequence[Trial]) -> list[Job]:
        number = max((trial.number + 1 for trial in trials), default=0)
        known, search, settings = known_folders(self.folder), self.search, self.settings
        refused: ConfigError | None = None
        for attempt in range(_ATTEMPTS):
            proposal = propose(
                settings.name, settings.seed, search.space, search.applies, trials, attempt, settings.objectives or ()
            )
            try:
                configs = search.jobs(proposal.point)
            except ConfigError as error:  # of values that can't stand together
                refused = error
                continue
            if not any(config.identity in known for config in configs):
                break
        else:
            if refused is not None:
                raise refused
            return []
        jobs = place_jobs(configs, self.folder)
        for job in jobs:
            propose_job(job, number, proposal.point, proposal.generation)
        self.seen.add(number)
        return jobs
