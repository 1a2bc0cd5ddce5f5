"""Convert the messages of AdminService; keys come without their secrets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict

from disrupt.admin.v1 import admin_pb2
from disrupt.core.mirrors import MirrorReport
from disrupt.core.outcomes import MatchedVersion, MatchOutcome, OutcomeReport
from disrupt.core.partners import Partner
from disrupt.core.policy import ApiKey, LookupQuota, Right
from disrupt.core.tallies import BY_WORKERS, LABELS, Count, Tally, UploadBatch
from disrupt.wire.fields import day, invalid

RUN_BYTES = 16
COUNTS_AT_ONCE = 5000
"""Most counts of a batch."""
_NUMBER_MAX = 2**63 - 1
_COUNT_MAX = 2**40


def rights(
    message: admin_pb2.CreateKeyRequest | admin_pb2.ChangeKeyRequest,
) -> tuple[Right, ...]:
    """Return the rights that a key is to have."""
    try:
        return tuple(Right(number) for number in message.rights)
    except ValueError:
        raise invalid("rights", "a right of another version of this program") from None


@contextmanager
def _text(field: str) -> Iterator[None]:
    """Raise InvalidRequestError where a word of a command line is no text, which messages take."""
    try:
        yield
    except UnicodeEncodeError:
        raise invalid(field, "not UTF-8") from None


def create_request(
    name: str,
    granted: tuple[Right, ...],
    banks: tuple[str, ...],
    *,
    organisation: str = "",
    expires_on: str = "",
    distance_bands: bool = False,
) -> admin_pb2.CreateKeyRequest:
    """Make the request for a new key."""
    with _text("name, bank or organisation"):
        return admin_pb2.CreateKeyRequest(
            name=name,
            rights=[right.value for right in granted],  # type: ignore[misc]  # same numbers
            banks=banks,
            organisation=organisation,
            expires_on=expires_on,
            distance_bands=distance_bands,
        )


def rotate_request(
    key_id: str, overlap_days: int, expires_on: str = ""
) -> admin_pb2.RotateKeyRequest:
    """Make the request for a key that replaces another."""
    with _text("key_id"):
        return admin_pb2.RotateKeyRequest(
            key_id=key_id, overlap_days=overlap_days, expires_on=expires_on
        )


def change_request(
    key_id: str,
    granted: tuple[Right, ...] = (),
    banks: tuple[str, ...] = (),
    expires_on: str | None = None,
    *,
    distance_bands: bool | None = None,
) -> admin_pb2.ChangeKeyRequest:
    """Make the request to change a key; what is empty or None stays."""
    with _text("key_id or bank"):
        return admin_pb2.ChangeKeyRequest(
            key_id=key_id,
            rights=[right.value for right in granted],  # type: ignore[misc]  # same numbers
            banks=banks,
            expires_on=expires_on,
            distance_bands=distance_bands,
        )


def quota_request(quota: LookupQuota) -> admin_pb2.SetQuotaRequest:
    """Make the request to set a quota."""
    with _text("organisation"):
        return admin_pb2.SetQuotaRequest(quota=_quota(quota))


def quota(request: admin_pb2.SetQuotaRequest) -> LookupQuota:
    """Return the quota to set."""
    asked = request.quota
    return LookupQuota(
        asked.organisation.strip(),
        asked.per_minute,
        asked.per_day,
        asked.hashes_per_minute,
        asked.hashes_per_day,
    )


def partner_request(partner: Partner) -> admin_pb2.SetPartnerRequest:
    """Make the request to set how an organisation is named."""
    with _text("organisation, name or link"):
        return admin_pb2.SetPartnerRequest(partner=_partner(partner))


def partner(request: admin_pb2.SetPartnerRequest) -> Partner:
    """Return the organisation, and how it is named."""
    asked = request.partner
    return Partner(asked.organisation.strip(), asked.name.strip(), asked.report_url.strip())


def uses_request(key_ids: Iterable[str]) -> admin_pb2.NoteKeyUsesRequest:
    """Make the request to note uses of keys."""
    return admin_pb2.NoteKeyUsesRequest(key_ids=key_ids)


def revoke_request(key_id: str) -> admin_pb2.RevokeKeyRequest:
    """Make the request to revoke a key."""
    with _text("key_id"):
        return admin_pb2.RevokeKeyRequest(key_id=key_id)


def record_request(
    report: OutcomeReport, mirrored_banks: Iterable[int] | None = None
) -> admin_pb2.RecordOutcomeRequest:
    """Make the request that notes what came of a match.

    ``mirrored_banks`` are the banks of the key with which a mirror passes it on, else None.
    """
    return admin_pb2.RecordOutcomeRequest(
        item_id=report.item_id,
        organisation=report.organisation,
        outcome=report.outcome.value,
        match=report.match,
        versions=[admin_pb2.MatchedVersion(**each._asdict()) for each in report.versions],
        matched_on=report.matched_on,
        mirrored=None if mirrored_banks is None else admin_pb2.Mirrored(banks=mirrored_banks),
    )


def mirror_request(report: MirrorReport) -> admin_pb2.NoteMirrorRequest:
    """Make the request that keeps what a mirror reports; its time is the writer's."""
    return admin_pb2.NoteMirrorRequest(
        key_id=report.key_id,
        level_s=report.level_s,
        clean_s=report.clean_s,
        version=report.version,
    )


def mirror_report(message: admin_pb2.NoteMirrorRequest, reported_s: int) -> MirrorReport:
    """Return what a mirror reports."""
    return MirrorReport(
        message.key_id, reported_s, message.level_s, message.clean_s, message.version
    )


def outcome_report(message: admin_pb2.RecordOutcomeRequest) -> OutcomeReport:
    """Return what a worker asks to note."""
    return OutcomeReport(
        message.item_id,
        message.organisation,
        MatchOutcome(message.outcome),
        message.match,
        tuple(
            MatchedVersion(each.plan, each.ordinal, each.distance_bits) for each in message.versions
        ),
        day("matched_on", message.matched_on),
    )


def recorded_answer(*, first: bool) -> admin_pb2.RecordOutcomeResponse:
    """Make the answer to an outcome that is noted."""
    return admin_pb2.RecordOutcomeResponse(first=first)


def is_first_report(answer: bytes) -> bool:
    """Tell whether what a writer answered is that an outcome of a match is new."""
    return admin_pb2.RecordOutcomeResponse.FromString(answer).first


def uploads_request(batch: UploadBatch) -> admin_pb2.CountUploadsRequest:
    """Make the request that hands a batch over."""
    return admin_pb2.CountUploadsRequest(
        run=batch.run,
        batch=batch.number,
        counts=[
            admin_pb2.UploadCount(
                day=each.day, tally=each.tally, labels=each.labels, count=each.count
            )
            for each in batch.counts
        ],
    )


def upload_batch(message: admin_pb2.CountUploadsRequest) -> UploadBatch:
    """Return a batch that a worker hands over."""
    if len(message.run) != RUN_BYTES or not 1 <= message.batch <= _NUMBER_MAX:
        raise invalid("run", f"{RUN_BYTES} bytes, and a batch from 1 on")
    if len(message.counts) > COUNTS_AT_ONCE:
        raise invalid("counts", f"at most {COUNTS_AT_ONCE}")
    return UploadBatch(message.run, message.batch, tuple(map(_upload_count, message.counts)))


def _upload_count(message: admin_pb2.UploadCount) -> Count:
    of_day, labels = day("counts.day", message.day), tuple(message.labels)
    if message.tally not in BY_WORKERS or len(labels) != len(LABELS[Tally(message.tally)]):
        raise invalid("counts.tally", "no tally that workers count, or not with these labels")
    if not of_day or not 1 <= message.count <= _COUNT_MAX:
        raise invalid("counts.count", f"a day, and a count of 1-{_COUNT_MAX}")
    return Count(of_day, Tally(message.tally), labels, message.count)


def list_answer(
    values: Iterable[ApiKey],
    bank_names: Mapping[int, str],
    quotas: Iterable[LookupQuota],
    partners: Iterable[Partner],
) -> admin_pb2.ListKeysResponse:
    """Make the answer that lists keys, and what is set of their organisations."""
    return admin_pb2.ListKeysResponse(
        keys=[key(value, bank_names) for value in values],
        quotas=[_quota(value) for value in quotas],
        partners=[_partner(value) for value in partners],
    )


def key(value: ApiKey, bank_names: Mapping[int, str]) -> admin_pb2.Key:
    """Convert a key to a message."""
    return admin_pb2.Key(
        key_id=value.key_id,
        name=value.name,
        rights=[right.value for right in sorted(value.rights)],  # type: ignore[misc]  # same numbers
        banks=[bank_names[bank] for bank in sorted(value.banks)],
        created_on=value.created_on,
        revoked_on=value.revoked_on,
        organisation=value.organisation,
        expires_on=value.expires_on,
        last_used_on=value.last_used_on,
        distance_bands=value.distance_bands,
    )


def _partner(value: Partner) -> admin_pb2.Partner:
    return admin_pb2.Partner(
        organisation=value.organisation, name=value.name, report_url=value.report_url
    )


def _quota(value: LookupQuota) -> admin_pb2.Quota:
    return admin_pb2.Quota(**asdict(value))
