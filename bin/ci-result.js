// Closes a CI run: sums vitest's report and the failed steps into one plain line, and exits with 1 when anything failed.

import { readFileSync } from 'node:fs';

const [reportFile, extraFailures, testsStatus] = process.argv.slice(2);
let passed = 0;
let failed = Number(extraFailures);
let skipped = 0;
try {
  const report = JSON.parse(readFileSync(reportFile, 'utf8'));
  passed = report.numPassedTests;
  skipped = report.numPendingTests + report.numTodoTests;
  const emptyFailures = report.testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.every((test) => test.status !== 'failed'),
  );
  for (const file of emptyFailures) process.stdout.write(`FAILED: ${file.name} (${file.message})\n`);
  failed += report.numFailedTests + emptyFailures.length;
} catch (error) {
  process.stdout.write(`FAILED: no report of the tests: ${error.message}\n`);
  failed += 1;
}
if (failed === 0 && Number(testsStatus) !== 0) {
  process.stdout.write(`FAILED: npm test ended with ${testsStatus} though every test passed\n`);
  failed += 1;
}
process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
process.exitCode = failed === 0 ? 0 : 1;
