"""Table of the right that each call needs; a call that is missing is refused."""

from __future__ import annotations

from google.protobuf.descriptor import ServiceDescriptor

from disrupt.core.policy import Right
from disrupt.v1 import feed_pb2, match_pb2, registration_pb2, review_pb2

SERVICES: tuple[ServiceDescriptor, ...] = (
    match_pb2.DESCRIPTOR.services_by_name["MatchService"],
    registration_pb2.DESCRIPTOR.services_by_name["RegistrationService"],
    feed_pb2.DESCRIPTOR.services_by_name["FeedService"],
    review_pb2.DESCRIPTOR.services_by_name["ReviewService"],
)
"""The public services."""

RIGHTS = {
    "/disrupt.v1.MatchService/MatchHashes": Right.MATCH,
    "/disrupt.v1.MatchService/MatchImage": Right.MATCH,
    "/disrupt.v1.MatchService/MatchVideo": Right.MATCH,
    "/disrupt.v1.MatchService/GetIndexStatus": Right.MATCH,
    "/disrupt.v1.MatchService/ReportOutcome": Right.MATCH,
    "/disrupt.v1.RegistrationService/RegisterHashes": Right.REGISTER,
    "/disrupt.v1.RegistrationService/RegisterImage": Right.STAFF,
    "/disrupt.v1.RegistrationService/RegisterVideo": Right.STAFF,
    "/disrupt.v1.RegistrationService/GetCase": Right.REGISTER,
    "/disrupt.v1.RegistrationService/WithdrawItems": Right.REGISTER,
    "/disrupt.v1.RegistrationService/WithdrawCase": Right.REGISTER,
    "/disrupt.v1.RegistrationService/KeepCase": Right.REGISTER,
    "/disrupt.v1.RegistrationService/GetChallenge": Right.REGISTER,
    "/disrupt.v1.FeedService/ListChanges": Right.FEED,
    "/disrupt.v1.ReviewService/ListItems": Right.REVIEW,
    "/disrupt.v1.ReviewService/SetItemStates": Right.REVIEW,
    "/disrupt.v1.ReviewService/PreviewItems": Right.REVIEW,
    "/disrupt.v1.ReviewService/SetAllStates": Right.REVIEW,
    "/disrupt.v1.ReviewService/UndoAct": Right.REVIEW,
    "/disrupt.v1.ReviewService/MoveItems": Right.REVIEW,
    "/disrupt.v1.ReviewService/ConfirmItems": Right.REVIEW,
    "/disrupt.v1.ReviewService/SettleDisputes": Right.REVIEW,
    "/disrupt.v1.ReviewService/ShowItem": Right.REVIEW,
    "/disrupt.v1.ReviewService/AddCommonPicture": Right.REVIEW,
    "/disrupt.v1.ReviewService/RemoveCommonPictures": Right.REVIEW,
    "/disrupt.v1.ReviewService/EraseCase": Right.REVIEW,
    "/disrupt.v1.ReviewService/ListErasures": Right.REVIEW,
    "/disrupt.v1.ReviewService/ListActs": Right.REVIEW,
}

RELAYED = {
    **{method: (right,) for method, right in RIGHTS.items()},
    # pictures and videos of staff are relayed as their hashes
    "/disrupt.v1.RegistrationService/RegisterHashes": (Right.REGISTER, Right.STAFF),
    "/disrupt.v1.RegistrationService/GetCase": (Right.REGISTER, Right.STAFF),
    "/disrupt.admin.v1.AdminService/RecordOutcome": (Right.MATCH,),
}
"""Rights, any of which suffices, for the calls that machines relay for a key."""

WITHOUT_KEY = "/grpc.health.v1.Health/"
"""Prefix of the calls that anybody may make."""

WITH_ANY_KEY = "/grpc.reflection."
"""Prefix of the calls that need a key, whatever its rights."""
