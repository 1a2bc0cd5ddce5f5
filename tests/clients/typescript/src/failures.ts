// What a failed call says, read out of google.rpc details.
import { Code, ConnectError } from "@connectrpc/connect";

import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb.js";

export interface Failure {
  status: string; // name of the gRPC status
  reason: string; // stable, to program against; empty when gRPC itself failed
  message: string; // for people: says what to do
  violations: { field: string; description: string }[];
  retryAfterMs: number | null;
}

export function failure(error: unknown): Failure {
  const from = ConnectError.from(error);
  const [info] = from.findDetails(ErrorInfoSchema);
  const [request] = from.findDetails(BadRequestSchema);
  const [retry] = from.findDetails(RetryInfoSchema);
  const delay = retry?.retryDelay;
  return {
    status: Code[from.code].replace(/(?!^)([A-Z])/g, "_$1").toUpperCase(),
    reason: info?.reason ?? "",
    message: from.rawMessage,
    violations: (request?.fieldViolations ?? []).map(({ field, description }) => ({ field, description })),
    retryAfterMs: delay ? Number(delay.seconds) * 1000 + delay.nanos / 1e6 : null,
  };
}
