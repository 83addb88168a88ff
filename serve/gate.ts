// Who may pass: the key of a request, its scope, its expiry and its limits. Decided once a request, in memory: no trip to Redis.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { KEY_NAMES_MAX, type Scope } from '../platform/hashed-keys.ts';
import { addressBlock } from './address-block.ts';
import { type ApiKey, type Caller, forbidden, presentedKey, unauthorized } from './authentication.ts';
import { Buckets } from './buckets.ts';
import type { Dependencies } from './dependencies.ts';
import { type KeyOutcome, keyMetrics } from './key-metrics.ts';
import { type ProblemError, retryProblem } from './problem-details.ts';
import { limitHeaders, limitHeadersOf } from './rate-limit-headers.ts';

/** Addresses whose failures are remembered. */
const ADDRESSES_MAX = 10_000;
/** Seconds' worth of refusals that an address may have at once. */
const ADDRESS_BURST_SECONDS = 10;
/** A body that may hold a key is read from any address if it is no larger: what a browser's beacon may send. */
const BEACON_BYTES_MAX = 65_536;

const DETAILS = {
  missing: 'Send a key: Authorization: Bearer KEY, or Basic with the key as user name.',
  missingInBody:
    'Send a write key: as user name of Basic authentication, as Bearer token, or as writeKey in the body.',
  unknown: 'The key that the request carries is not known here.',
} as const;

export interface Gate {
  /** An `onRequest` hook for routes that need a key of this scope; sets `request.caller`. A secret key passes everywhere. */
  require(scope: Scope): (request: FastifyRequest, reply: FastifyReply) => Promise<void>;
  /** The same for collect, where the key may stand in the body: without one in a header, `request.caller` stays null. */
  offer(request: FastifyRequest, reply: FastifyReply): Promise<void>;
  /** The caller of a collect request: by its header, else by the `writeKey` of its body, which may have a fault. @throws 401, 429 */
  callerOf(request: FastifyRequest, reply: FastifyReply, writeKey: unknown, fault: string | null): Caller;
  /**
   * Counts events against the caller's limit.
   * @returns takes the count back, of a request that nothing was taken of after all
   * @throws 429, and none of them is counted
   */
  takeEvents(caller: Caller, reply: FastifyReply, amount: number): () => void;
}

type Ports = Pick<Dependencies, 'keys' | 'metrics' | 'clock' | 'config'>;

export function createGate({ keys, metrics, clock, config }: Ports): Gate {
  const counted = keyMetrics({ registry: metrics.registry, keys, clock });
  const buckets = {
    requests: new Buckets(KEY_NAMES_MAX, clock.monotonicMs),
    events: new Buckets(KEY_NAMES_MAX, clock.monotonicMs),
    addresses: new Buckets(ADDRESSES_MAX, clock.monotonicMs),
  };
  const perSecond = config.serveRefusedPerSecond;
  const addressPolicy = { perSecond, burst: perSecond * ADDRESS_BURST_SECONDS };

  /** 429, when the address has been refused too often, instead of what it would be told. */
  function refuse(request: FastifyRequest, name: string | null, outcome: KeyOutcome, why: ProblemError) {
    const taking = buckets.addresses.take(addressBlock(request.ip), addressPolicy, 1);
    counted.count(name, taking.taken ? outcome : 'limited');
    return taking.taken ? why : tooManyRefused(taking.waitMs);
  }

  function tooManyRefused(waitMs: number): ProblemError {
    counted.limited(null, 'address');
    const detail = 'Too many requests without a valid key came from this address; check the key.';
    return retryProblem(429, 'too_many_refused', detail, secondsOf(waitMs));
  }

  /** Counts the request against the key's limit. @throws 401 for a key that may no longer call, 429 */
  function admit(key: ApiKey | undefined, request: FastifyRequest, reply: FastifyReply): ApiKey {
    if (key === undefined)
      throw refuse(request, null, 'unknown', unauthorized('unauthorized', DETAILS.unknown));
    const { name, limits } = key;
    if (key.isRevoked) throw refuse(request, name, 'revoked', revoked(key));
    if (clock.nowMs() >= key.expiresAtMs) throw refuse(request, name, 'expired', expired(key));
    if (limits.requests !== undefined) takeFrom('requests', key, reply, 1);
    return key;
  }

  function takeFrom(limit: 'requests' | 'events', caller: Caller, reply: FastifyReply, amount: number) {
    const policy = caller.limits[limit]!;
    const taking = buckets[limit].take(caller.name, policy, amount);
    reply.headers(limitHeaders(reply, limit, policy, taking));
    if (taking.taken) return;
    // A request over its limit of events has passed and was counted as that.
    if (limit === 'requests') counted.count(caller.name, 'limited');
    counted.limited(caller.name, limit);
    const seconds = secondsOf(taking.waitMs);
    const rate = `${policy.perSecond} ${limit} a second, ${policy.burst} at once`;
    const detail = `The key "${caller.name}" may have ${rate}; nothing of this request was taken. Send it again in ${seconds} s.`;
    throw retryProblem(429, 'rate_limited', detail, seconds);
  }

  /** Marks the caller; a request counts as accepted once. */
  function pass(request: FastifyRequest, key: ApiKey): Caller {
    counted.count(key.name, 'accepted');
    request.caller = key;
    return key;
  }

  return {
    require: (scope) => async (request, reply) => {
      const presented = presentedKey(request);
      if (presented === undefined)
        throw refuse(request, null, 'missing', unauthorized('unauthorized', DETAILS.missing));
      const key = admit(keys.find(presented), request, reply);
      if (scope === 'secret' && key.scope !== 'secret') {
        counted.count(key.name, 'forbidden');
        throw forbidden();
      }
      pass(request, key);
    },
    async offer(request, reply) {
      const presented = presentedKey(request);
      if (presented !== undefined) {
        pass(request, admit(keys.find(presented), request, reply));
        return;
      }
      if (isBeacon(request) || buckets.addresses.has(addressBlock(request.ip), addressPolicy)) return;
      throw refuse(request, null, 'missing', unauthorized('unauthorized', DETAILS.missingInBody));
    },
    callerOf(request, reply, writeKey, fault) {
      if (request.caller !== null) return request.caller;
      if (typeof writeKey !== 'string') {
        const unread =
          fault === null ? '' : ` No key can be looked for in this one, which cannot be read: ${fault}.`;
        const why = unauthorized('unauthorized', `${DETAILS.missingInBody}${unread}`);
        throw refuse(request, null, 'missing', why);
      }
      return pass(request, admit(keys.find(writeKey), request, reply));
    },
    takeEvents(caller, reply, amount) {
      const policy = caller.limits.events;
      if (policy === undefined) return () => {};
      const said = limitHeadersOf(reply);
      takeFrom('events', caller, reply, amount);
      return () => {
        const left = buckets.events.putBack(caller.name, policy, amount);
        for (const name of Object.keys(limitHeadersOf(reply))) reply.removeHeader(name);
        reply.headers(said);
        reply.headers(limitHeaders(reply, 'events', policy, { left }));
      };
    },
  };
}

/** Small and not packed: whether its key is right costs next to nothing to find out. */
function isBeacon({ headers }: FastifyRequest): boolean {
  const { 'content-length': length, 'content-encoding': encoding } = headers;
  return encoding === undefined && length !== undefined && Number(length) <= BEACON_BYTES_MAX;
}

function secondsOf(waitMs: number): number {
  return Math.max(1, Math.ceil(waitMs / 1_000));
}

function expired({ name, expiresAtMs, isReplaced }: ApiKey): ProblemError {
  const expiredAt = new Date(expiresAtMs).toISOString();
  const advice = isReplaced ? 'use the one that replaced it' : 'rotate it (`flywheel keys rotate`)';
  return unauthorized('key_expired', `The key "${name}" expired at ${expiredAt}: ${advice}.`, { expiredAt });
}

function revoked({ name }: ApiKey): ProblemError {
  return unauthorized('key_revoked', `The key "${name}" was revoked: ask for another one.`);
}
