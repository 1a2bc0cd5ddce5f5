"""Table of the right that each call needs. The server does not start if a call is missing."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.descriptor import ServiceDescriptor

from disrupt.core.policy import Right
from disrupt.errors import ConfigurationError
from disrupt.v1 import erasure_pb2, feed_pb2, match_pb2, registration_pb2, review_pb2

SERVICES: tuple[ServiceDescriptor, ...] = (
    match_pb2.DESCRIPTOR.services_by_name["MatchService"],
    registration_pb2.DESCRIPTOR.services_by_name["RegistrationService"],
    feed_pb2.DESCRIPTOR.services_by_name["FeedService"],
    review_pb2.DESCRIPTOR.services_by_name["ReviewService"],
    erasure_pb2.DESCRIPTOR.services_by_name["ErasureService"],
)
"""The public services."""

RIGHTS = {
    "/disrupt.v1.MatchService/MatchHashes": Right.MATCH,
    "/disrupt.v1.MatchService/StreamMatchHashes": Right.MATCH,
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
    "/disrupt.v1.FeedService/ListChanges": Right.FEED,
    "/disrupt.v1.ReviewService/ListItems": Right.REVIEW,
    "/disrupt.v1.ReviewService/GetItem": Right.REVIEW,
    "/disrupt.v1.ReviewService/SetItemStates": Right.REVIEW,
    "/disrupt.v1.ReviewService/MoveItems": Right.REVIEW,
    "/disrupt.v1.ReviewService/ConfirmItems": Right.REVIEW,
    "/disrupt.v1.ReviewService/ListCases": Right.REVIEW,
    "/disrupt.v1.ReviewService/ListActs": Right.REVIEW,
    "/disrupt.v1.ReviewService/VerifyActs": Right.REVIEW,
    "/disrupt.v1.ErasureService/RequestErasure": Right.REVIEW,
    "/disrupt.v1.ErasureService/ConfirmErasure": Right.REVIEW,
    "/disrupt.v1.ErasureService/CancelErasure": Right.REVIEW,
}

WITHOUT_KEY = ("/grpc.health.v1.Health/", "/grpc.reflection.")
"""Prefixes of the calls that anybody may make."""


def check(services: Iterable[ServiceDescriptor]) -> None:
    """Raise ConfigurationError unless every call of the services is in the table."""
    for service in services:
        for method in service.methods:
            name = f"/{service.full_name}/{method.name}"
            if name not in RIGHTS:
                raise ConfigurationError(f"No right is named for the call {name}.")
