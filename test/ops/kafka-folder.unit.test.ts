// Java reads files of properties as ISO 8859-1: in a folder whose name has other letters, the log lay in one beside it.

import { describe, expect, it } from 'vitest';
import { brokerProperties } from '../../ops/local/kafka.ts';

const PORTS = { port: 19092, controllerPort: 19093 };

describe('the settings of the local broker', () => {
  it('name a folder of any letters in plain ASCII', () => {
    const text = brokerProperties('/tmp/Büro/数据/a\\b 😀/data', PORTS);
    expect(text).toMatch(/^[\n -~]+$/);
    expect(text).toContain('\nlog.dirs=/tmp/B\\u00fcro/\\u6570\\u636e/a\\u005cb \\ud83d\\ude00/data\n');
    expect(text).toContain('\nlisteners=PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093\n');
  });

  it('refuse a folder that Kafka would take for two', () => {
    expect(() => brokerProperties('/tmp/a,b/data', PORTS)).toThrow(
      'Kafka cannot keep its log in /tmp/a,b/data: it reads a comma',
    );
  });
});
