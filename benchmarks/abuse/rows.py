"""Judge a run of `bench abuse`: one row for each attack, and the promises that it breaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.abuse.attack import Toll
from benchmarks.abuse.attacks import CHECKED
from disrupt.server.config import Config

HASHES = "hashes"
PICTURES = "pictures"
VIDEOS = "videos"
REGISTRATIONS = "registrations"
WITHDRAWALS = "withdrawals"
HEALTH = "health"
CONTINUOUS = (HASHES, PICTURES)
"""Calls that follow each other without a pause, so that their rates are compared."""

WITHDRAWN_WITHIN_S = 60.0
"""Longest wait of a caller for a withdrawal."""

LEAST_SHARE = 0.8
MOST_WITHDRAWAL_MS = 2000.0
MOST_MESSAGES = 4
"""Most memory that an attack may take in one process, in messages of the largest size."""
MOST_PIN_CHECKS_PER_S = 3.0

MAX_MESSAGE_BYTES: int = Config.model_fields["max_message_bytes"].default

_WINDOWS = 8
_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Call:
    """One call, with all of its attempts; times are of time.monotonic, in s."""

    kind: str
    began_s: float
    took_s: float
    answered: bool


@dataclass(frozen=True, slots=True)
class Stretch:
    """Calls of ordinary callers and tolls of attackers, from one moment to another."""

    began_s: float
    ended_s: float
    calls: list[Call]
    tolls: list[Toll]

    @property
    def seconds(self) -> float:
        """Length of the stretch, in s."""
        return self.ended_s - self.began_s

    def rates(self, kind: str) -> list[float]:
        """Return the answered calls a second, in windows of equal length."""
        done_s = [
            call.began_s + call.took_s for call in self.calls if call.kind == kind and call.answered
        ]
        edges = np.linspace(self.began_s, self.ended_s, _WINDOWS + 1)
        counts, _ = np.histogram(done_s, edges)
        return [float(count / (edges[1] - edges[0])) for count in counts]


@dataclass(frozen=True, slots=True)
class Row:
    """Effects of one attack on others, and its costs. Shares are of the baseline.

    ``shares`` and their 95 % intervals by kind of call; ``others_throughput_share`` is the least.
    Memory is in units of 10⁶ bytes; the idle value is that before the attack.
    """

    kind: str
    others_throughput_share: float
    withdrawal_p99_ms: float
    peak_worker_mb: float
    peak_writer_mb: float
    health_true: bool
    shares: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    videos_answered_share: float
    withdrawals: int
    baseline_withdrawal_p99_ms: float
    baseline_health_true: bool
    idle_worker_mb: float
    idle_writer_mb: float
    processes_ended: int
    pin_checks_per_s: float
    attackers_cpu_share: float
    baseline_attackers_cpu_share: float
    answers: dict[str, int]
    seconds: float
    failed: list[str] = field(default_factory=list)


def compare(
    kind: str,
    attacked: Sequence[Stretch],
    baseline: Sequence[Stretch],
    *,
    worker_mb: tuple[float, float],
    writer_mb: tuple[float, float],
    ended: int,
) -> Row:
    """Compare stretches under attack with those of the baseline, and judge them."""
    shares = {call: _share(call, attacked, baseline) for call in CONTINUOUS}
    answers = sum((toll.answers for stretch in attacked for toll in stretch.tolls), Counter[str]())
    seconds = sum(stretch.seconds for stretch in attacked)
    withdrawals = _calls(attacked, WITHDRAWALS)
    judged = Row(
        kind,
        others_throughput_share=min(share for share, _, _ in shares.values()),
        withdrawal_p99_ms=_p99_ms(withdrawals),
        peak_worker_mb=round(worker_mb[0], 1),
        peak_writer_mb=round(writer_mb[0], 1),
        health_true=_answered(_calls(attacked, HEALTH)) == 1,
        shares={call: share for call, (share, _, _) in shares.items()},
        intervals={call: (low, high) for call, (_, low, high) in shares.items()},
        videos_answered_share=_answered(_calls(attacked, VIDEOS)),
        withdrawals=len(withdrawals),
        baseline_withdrawal_p99_ms=_p99_ms(_calls(baseline, WITHDRAWALS)),
        baseline_health_true=_answered(_calls(baseline, HEALTH)) == 1,
        idle_worker_mb=round(worker_mb[1], 1),
        idle_writer_mb=round(writer_mb[1], 1),
        processes_ended=ended,
        pin_checks_per_s=round(sum(answers[reason] for reason in CHECKED) / seconds, 2),
        attackers_cpu_share=_cpu_share(attacked),
        baseline_attackers_cpu_share=_cpu_share(baseline),
        answers=dict(answers),
        seconds=round(seconds, 1),
    )
    judged.failed.extend(broken(judged))
    return judged


def broken(row: Row) -> Iterator[str]:
    """Return the names of the promises that were broken."""
    most_mb = MOST_MESSAGES * MAX_MESSAGE_BYTES / 1e6
    kept = {
        "others_throughput_share": row.others_throughput_share >= LEAST_SHARE,
        "videos_answered_share": row.videos_answered_share >= LEAST_SHARE,
        "withdrawal_p99_ms": row.withdrawal_p99_ms <= MOST_WITHDRAWAL_MS,
        "peak_worker_mb": row.peak_worker_mb - row.idle_worker_mb <= most_mb,
        "peak_writer_mb": row.peak_writer_mb - row.idle_writer_mb <= most_mb,
        "health_true": row.health_true,
        "processes_ended": not row.processes_ended,
        # one second more, since some answers are of checks from before
        "pin_checks_per_s": row.pin_checks_per_s * row.seconds
        <= MOST_PIN_CHECKS_PER_S * (row.seconds + 1),
    }
    return (name for name, holds in kept.items() if not holds)


def _share(
    kind: str, attacked: Sequence[Stretch], baseline: Sequence[Stretch]
) -> tuple[float, float, float]:
    """Return the ratio of the mean rates, and its 95 % interval by resampling windows."""
    ours, theirs = (
        np.array([rate for stretch in stretches for rate in stretch.rates(kind)])
        for stretches in (attacked, baseline)
    )
    if not theirs.any():
        return 0.0, 0.0, 0.0
    chance = np.random.default_rng(1)
    ratios = [
        chance.choice(ours, len(ours)).mean() / max(chance.choice(theirs, len(theirs)).mean(), 1e-9)
        for _ in range(_RESAMPLES)
    ]
    low, high = np.percentile(ratios, (2.5, 97.5))
    share = ours.mean() / theirs.mean()
    return round(float(share), 3), round(float(low), 3), round(float(high), 3)


def _calls(stretches: Sequence[Stretch], kind: str) -> list[Call]:
    return [call for stretch in stretches for call in stretch.calls if call.kind == kind]


def _answered(calls: Sequence[Call]) -> float:
    return round(sum(call.answered for call in calls) / len(calls), 3) if calls else 0.0


def _p99_ms(calls: Sequence[Call]) -> float:
    """Return the percentile of withdrawals; one that failed counts as the longest wait."""
    longest_s = WITHDRAWN_WITHIN_S
    took_s = [call.took_s if call.answered else longest_s for call in calls] or [longest_s]
    return round(float(np.percentile(took_s, 99)) * 1000, 1)


def _cpu_share(stretches: Sequence[Stretch]) -> float:
    """Return the processor time of all attackers as a share of one core."""
    tolls = [toll for stretch in stretches for toll in stretch.tolls]
    seconds = sum(stretch.seconds for stretch in stretches)
    return round(sum(toll.cpu_s for toll in tolls) / seconds, 3)
