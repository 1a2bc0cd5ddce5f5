// Connections to a server: the key in every call, deadlines, several connections, retries.
import { setTimeout as pause } from "node:timers/promises";

import { createClient, type Client, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import { MatchService } from "../gen/disrupt/v1/match_pb.js";
import { RegistrationService } from "../gen/disrupt/v1/registration_pb.js";
import { failure } from "./failures.js";

const ATTEMPTS = 6;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;
const RETRYABLE = new Set(["UNAVAILABLE", "SNAPSHOT_REFUSED", "OVERLOADED", "TOO_MANY_ATTEMPTS", ""]);

function withKey(key: string): Interceptor {
  return (next) => (request) => {
    request.header.set("authorization", `Bearer ${key}`);
    return next(request);
  };
}

// All attempts share the deadline of the call, whose end aborts `request.signal`. Every call of Disrupt may be
// repeated: lookups write nothing, registrations carry a request id, withdrawals are idempotent.
const retrying: Interceptor = (next) => async (request) => {
  for (let failed = 1; ; failed++) {
    try {
      return await next(request);
    } catch (error) {
      const { status, reason, retryAfterMs } = failure(error);
      const passing = status === "UNAVAILABLE" || (status === "RESOURCE_EXHAUSTED" && retryAfterMs !== null);
      if (!passing || !RETRYABLE.has(reason) || failed >= ATTEMPTS || request.stream) throw error;
      const backoffMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failed - 1));
      await pause((retryAfterMs ?? 0) + backoffMs * (1 - Math.random() / 2), undefined, { signal: request.signal });
    }
  }
};

export interface Clients {
  match: Client<typeof MatchService>;
  registration: Client<typeof RegistrationService>;
}

// A server's workers share its port, and one connection reaches one of them: so calls take turns on several.
export function connect(baseUrl: string, key: string, connections = 4): () => Clients {
  const clients = Array.from({ length: connections }, () => {
    const transport = createGrpcTransport({
      baseUrl,
      defaultTimeoutMs: 10_000,
      interceptors: [withKey(key), retrying],
    });
    return {
      match: createClient(MatchService, transport),
      registration: createClient(RegistrationService, transport),
    };
  });
  let turn = 0;
  return () => clients[turn++ % connections]!;
}
