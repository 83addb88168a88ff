// Run by definitions.test.ts as a process of its own, to be killed by its failpoint.
import { readConfig } from '../../platform/config.ts';
import { migrate } from '../../platform/migrate.ts';

await migrate({ config: readConfig(), definitionsDir: process.argv[2]! });
