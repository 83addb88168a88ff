// A delivery to the receiver `crm`, from when its trigger came.
import type { Delivery } from '../../../domain/delivery.ts';

type Given = Pick<Delivery, 'id' | 'status' | 'attempt' | 'trigger'> & Partial<Delivery>;

export function deliveryOf(given: Given): Delivery {
  const { timeMs } = given.trigger;
  return {
    kind: 'delivery',
    receiver: 'crm',
    failures: 0,
    dueMs: timeMs,
    createdMs: timeMs,
    atMs: timeMs,
    answer: 0,
    detail: '',
    intentLifeMs: 0,
    timeoutMs: 0,
    ...given,
  };
}
