// What `flywheel up` shows once all is up: where everything listens, the keys, and what to try.
import type { Stack } from '../ops/local/stack.ts';
import type { ApiKeyPair } from '../platform/api-keys.ts';
import { withoutPassword } from '../platform/without-password.ts';

interface Shown {
  readonly url: string;
  /** They are of this machine's `serve` alone, and whoever starts it needs them: unlike the passwords of parts elsewhere. */
  readonly keys: ApiKeyPair;
  readonly stack: Pick<Stack, 'kafkaBrokers' | 'redisUrl' | 'clickhouseUrl' | 'prometheusUrl'>;
}

/** One line each. */
export function addresses({ url, keys, stack }: Shown): string[] {
  return [
    '',
    `API         ${url}   documentation ${url}/docs`,
    ...(stack.prometheusUrl === undefined
      ? []
      : [
          `Prometheus  ${stack.prometheusUrl}`,
          'Grafana     in yours: Dashboards, New, Import, ops/grafana/{engine,growth,campaigns}.json, and choose this Prometheus',
        ]),
    `Kafka       ${stack.kafkaBrokers}   Redis ${withoutPassword(stack.redisUrl!)}   ClickHouse ${withoutPassword(stack.clickhouseUrl!)}`,
    `keys        write ${keys.write}   secret ${keys.secret}`,
    '',
    'Try:',
    `  curl -u ${keys.write}: -H 'content-type: application/json' -d '{"userId":"you","event":"Product Viewed"}' ${url}/v1/track`,
    `  curl -H 'authorization: Bearer ${keys.secret}' ${url}/v1/buyers/u:you`,
    '',
    'Ctrl-C stops everything.',
  ];
}
