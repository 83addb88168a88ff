// What `flywheel up` shows goes into the logs of whoever runs it unattended.
import { expect, it } from 'vitest';
import { addresses } from '../../cli/up-addresses.ts';

it('shows parts that run elsewhere without their passwords', () => {
  const stack = {
    kafkaBrokers: 'kafka:9092',
    redisUrl: 'redis://:geheim@a,redis://:geheim@b',
    clickhouseUrl: 'https://u:geheim@ch:8443',
    prometheusUrl: undefined,
  };
  const lines = addresses({ url: 'http://127.0.0.1:18080', keys: { write: 'wk', secret: 'sk' }, stack });
  expect(lines).toContain(
    'Kafka       kafka:9092   Redis redis://…@a,redis://…@b   ClickHouse https://…@ch:8443',
  );
  expect(lines.join()).not.toContain('geheim');
});
