// Folds decoded records through the domain, in order: timers first, then the record that passed them.
// Nothing here waits: states and due timers were loaded before, effects are carried out behind it.
import { type AccountState, newAccount } from '../domain/account.ts';
import type { Buyer } from '../domain/buyer.ts';
import type { BuyerContext } from '../domain/buyer-context.ts';
import { transitionCompany } from '../domain/company.ts';
import type { Effect } from '../domain/effect.ts';
import { backfillFunnel, takePast } from '../domain/funnel-backfill.ts';
import type { DerivedRecord } from '../domain/identity-record.ts';
import { arrange, bringsForward, epochOf, type KeptDefinition, lastDocument } from '../domain/in-force.ts';
import { endPart, mergeHistory } from '../domain/linked-history.ts';
import type { RejectedRecord } from '../domain/record.ts';
import { floorsAt } from '../domain/time-floors.ts';
import { transitionAccount } from '../domain/transition-account.ts';
import { exposeBuyer, forwardToBuyer, transitionBuyer } from '../domain/transition-buyer.ts';
import { keepLink, linkVisitor, revokeLink } from '../domain/visitor-link.ts';
import { addRow, addVerdict } from './batch.ts';
import type { Decoded, Message } from './decode.ts';
import { carryOut } from './effects.ts';
import {
  accountContext,
  armAccount,
  armBuyer,
  buyerContext,
  closeWindows,
  type Fold,
  fireTimers,
  raise,
} from './fold-time.ts';
import { rejectedRecordOf } from './reject.ts';
import { effectRow, linkRow, rejectRow } from './rows.ts';
import { receive } from './state.ts';
import type { Work } from './work.ts';

/** Whether the record was folded; whether the batch is cut behind it, or before it because it has fired enough timers. */
export type FoldOutcome = 'folded' | 'last' | 'cut';

/** Folds one record. On 'cut' nothing of the record was applied but that clocks go on from it; the timers that fired stay fired. */
export function foldRecord(work: Work, fold: Fold, message: Message, decoded: Decoded): FoldOutcome {
  const watermarkMs = Math.max(work.head.watermarkMs, decoded.timeMs);
  // Before its timers: one that is due at the record's own time raises the watermark as far, and the next batch would see no rise.
  if (watermarkMs > work.head.watermarkMs) anchorClock(work, message, decoded, watermarkMs);
  if (!fireTimers(work, fold, watermarkMs)) return 'cut';
  raise(work, fold, watermarkMs);
  const seen = fold.live?.look(work, fold.batch, message, decoded);
  const { verdict, behaviour } = apply(work, fold, message, decoded);
  seen?.(verdict, behaviour);
  while (fold.batch.to + 1 < message.offset) addVerdict(fold.batch, 'control', '');
  addVerdict(fold.batch, verdict, behaviour);
  fold.batch.bytes += message.size;
  work.counters.verdict(verdict);
  work.head.offset += 1;
  work.head.fired = 0;
  work.head.ordinal = 0;
  return fold.looksAgain ? 'last' : 'folded';
}

/** Clock records go on from the last record, other than a clock, that raised the watermark. */
function anchorClock(work: Work, message: Message, decoded: Decoded, watermarkMs: number): void {
  const supplied = 'supplied' in (decoded as { record: object }).record;
  if (decoded.kind === 'clock') {
    if (supplied) work.head.anchor = null;
    return;
  }
  work.head.anchor = supplied ? null : { watermarkMs, appendMs: message.appendMs };
}

/**
 * Leases end by the watermark, which they do not move: where nothing has moved it yet, clocks go on from the time at which the first
 * lease was granted, or what an account sets aside for bids that all lost would never be free again.
 */
function beginClock(work: Work, { appendMs }: Message, state: AccountState): void {
  if (work.head.watermarkMs === 0 && state.leases.length > 0)
    work.head.anchor ??= { watermarkMs: appendMs, appendMs };
}

type Applied = { verdict: 'applied' | 'late' | 'duplicate' | 'rejected' | 'control'; behaviour: string };
const control: Applied = { verdict: 'control', behaviour: '' };

function apply(work: Work, fold: Fold, message: Message, decoded: Decoded): Applied {
  switch (decoded.kind) {
    case 'segment':
      return applySegment(work, fold, message, decoded);
    case 'exposure':
      return applyToBuyer(work, fold, message, decoded.key, (before, context, effects) =>
        exposeBuyer(before, decoded.record, context, effects),
      );
    case 'revoke':
      return applyToBuyer(work, fold, message, decoded.key, (before, context, effects) =>
        revokeLink(before, decoded.record, context, effects),
      );
    case 'backfill':
      return applyToBuyer(work, fold, message, decoded.key, (before, context, effects) =>
        backfillFunnel(before, decoded.record, context, effects),
      );
    case 'derived':
      return applyDerived(work, fold, message, decoded.record);
    case 'receipt': {
      const { trigger: id, key, timestamp: timeMs } = decoded.record;
      carryOut(work, fold.batch, [{ kind: 'receipt', id, key, timeMs }]);
      return control;
    }
    case 'clock':
      return control;
    case 'definition':
      applyDefinition(work, fold, message, decoded);
      return control;
    case 'spend':
      return applySpend(work, fold, message, decoded);
    case 'rejected':
      addRow(fold.batch, 'rejects', rejectRow(decoded.record));
      return control;
    case 'reject':
      return applyReject(work, fold, message, decoded);
  }
}

function applySegment(
  work: Work,
  fold: Fold,
  message: Message,
  decoded: Extract<Decoded, { kind: 'segment' }>,
): Applied {
  const { key, record, raw } = decoded;
  const effects: Effect[] = [];
  const before = work.states.get(key) as Buyer | undefined;
  const context = fold.bugs.beforeSegment(
    before,
    buyerContext(work, work.head.watermarkMs, message.appendMs),
  );
  const outcome = transitionBuyer(before, key, record, context, effects);
  const { state } = outcome;
  if (state !== undefined && (outcome.verdict === 'applied' || state !== before)) {
    if (outcome.verdict === 'applied') fold.bugs.afterSegment(state, record, context, effects);
    keepBuyer(work, fold, key, state);
  }
  carryOut(work, fold.batch, effects);
  const { generation, partition } = work.id;
  const { verdict, behaviour } = outcome;
  const at = {
    key,
    generation,
    partition,
    offset: message.offset,
    appendMs: message.appendMs,
    verdict,
    behaviour,
    raw,
  };
  fold.batch.eventRows.add(record, at);
  if (record.kind === 'identify' || record.kind === 'alias' || record.kind === 'group') {
    fold.batch.linkRows.push(linkRow(record, at));
  }
  return { verdict, behaviour };
}

type BuyerTransition = (
  before: Buyer | undefined,
  context: BuyerContext,
  effects: Effect[],
) => Buyer | undefined;

/** Applies what is not judged to the state of a key. */
function applyToBuyer(
  work: Work,
  fold: Fold,
  message: Message,
  key: string,
  transition: BuyerTransition,
): Applied {
  const effects: Effect[] = [];
  const context = buyerContext(work, work.head.watermarkMs, message.appendMs);
  const state = transition(work.states.get(key) as Buyer | undefined, context, effects);
  if (state !== undefined) keepBuyer(work, fold, key, state);
  carryOut(work, fold.batch, effects);
  return control;
}

function keepBuyer(work: Work, fold: Fold, key: string, state: Buyer): void {
  work.states.set(key, state);
  work.changed.add(key);
  armBuyer(work, fold, state);
}

/** What another partition's outbox sent, or this one's own; a repeat is dropped. */
function applyDerived(work: Work, fold: Fold, message: Message, record: DerivedRecord): Applied {
  if (record.origin.generation !== work.id.generation || !receive(work.head, record.origin)) return control;
  fold.batch.taken.set(record.kind, (fold.batch.taken.get(record.kind) ?? 0) + 1);
  const context = buyerContext(work, work.head.watermarkMs, message.appendMs);
  const taken = fold.bugs.beforeDerived(record, context);
  if (taken === undefined) return control;
  return applyToBuyer(work, fold, message, record.key, derivedTransition(taken));
}

function derivedTransition(record: DerivedRecord): BuyerTransition {
  switch (record.kind) {
    case 'link':
      return (before, context, effects) => linkVisitor(before, record, context, effects);
    case 'merge':
      return (before, context, effects) => mergeHistory(before, record, context, effects);
    case 'forward':
      return (before, context, effects) => forwardToBuyer(before, record, context, effects);
    case 'linkEnded':
      return (before, context, effects) => endPart(before, record, context, effects);
    case 'linkKept':
      return (before) => keepLink(before, record);
    case 'past':
      return (before, context, effects) => takePast(before, record, context, effects);
    case 'member':
      return (before, context) => transitionCompany(before, record, context);
  }
}

function applySpend(
  work: Work,
  fold: Fold,
  message: Message,
  decoded: Extract<Decoded, { kind: 'spend' }>,
): Applied {
  const effects: Effect[] = [];
  const { key } = decoded;
  const record = fold.bugs.beforeSpend(decoded.record);
  const state = (work.states.get(key) as AccountState | undefined) ?? newAccount(key);
  const nowMs = work.head.watermarkMs;
  const outcome = transitionAccount(state, record, accountContext(work, nowMs, message.appendMs), effects);
  if (outcome.verdict === 'rejected') {
    return applyReject(work, fold, message, { kind: 'reject', key: '', timeMs: 0, ...outcome });
  }
  fold.bugs.afterSpend(state, record);
  beginClock(work, message, state);
  work.states.set(key, state);
  work.changed.add(key);
  carryOut(work, fold.batch, effects);
  armAccount(work, fold, state, nowMs);
  return { verdict: outcome.verdict, behaviour: '' };
}

/** A definition comes into force at its record, if its revision is above the partition's own. */
function applyDefinition(
  work: Work,
  fold: Fold,
  message: Message,
  { record, document }: Extract<Decoded, { kind: 'definition' }>,
): void {
  const { type, id, revision, hash } = record;
  const same = (kept: KeptDefinition): boolean => kept.type === type && kept.id === id;
  const known = work.inForce.kept.find(same);
  if (known !== undefined && known.revision >= revision) return;
  const others = work.inForce.kept.filter((kept) => !same(kept));
  const epoch = epochOf(work.inForce.kept) + 1;
  const sinceMs = work.head.watermarkMs;
  const { settings, floors: before } = work.inForce.definitions;
  const floors = type === 'settings' ? { floors: floorsAt(before, settings, sinceMs) } : {};
  const said = document === null && known !== undefined ? lastDocument(known) : undefined;
  const last = said === undefined ? {} : { last: said };
  const kept = [
    ...others,
    { type, id, revision, hash, document, epoch, sinceMs, ...floors, ...last } as KeptDefinition,
  ];
  const definitions = arrange(kept);
  fold.looksAgain = work.id.topic === 'events' && bringsForward(work.inForce.definitions, definitions);
  work.inForce = { kept, definitions };
  work.definitionsChanged = true;
  closeWindows(work, fold);
  const row = {
    type,
    id,
    revision,
    time: record.at,
    topic: work.id.topic,
    hash,
    document: JSON.stringify(record.document),
    changed_by: record.by,
    why: record.why,
  };
  const at = {
    generation: work.id.generation,
    partition: work.id.partition,
    offset: message.offset,
    ordinal: 0,
  };
  addRow(fold.batch, 'definitions', effectRow('definitions', row, at));
}

/** What cannot be taken goes to `events.rejected` with its reason and its bytes; there, only its row is written. */
function applyReject(
  work: Work,
  fold: Fold,
  message: Message,
  decoded: Extract<Decoded, { kind: 'reject' }>,
): Applied {
  const rejected: RejectedRecord = rejectedRecordOf(work.id.topic, message, decoded.reason, decoded.detail);
  work.counters.rejected(decoded.reason);
  if (work.id.topic === 'rejected') addRow(fold.batch, 'rejects', rejectRow(rejected));
  else work.addRejected(fold.batch, rejected);
  return { verdict: 'rejected', behaviour: '' };
}
